// Runs filters that misbehave at random and checks that no frame of any call is lost, doubled or kept: see `fuzz`.
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { FilterRegistry } from '../../dist/filters/index.js';

const frameMs = 10;
const framesPerRun = 40;
/** A filter may keep a frame for 15 ms; the rest is for timers, and to it comes what the machine held this process up. */
const lateMs = 40;

const hostile = new URL('./hostile/', import.meta.url);
const url = 'ws://127.0.0.1:7880';
const streamInfo = {
  url,
  roomId: 'RM',
  roomName: 'room',
  participantIdentity: 'caller',
  participantId: 'PA',
  trackId: 'TR',
};

/** A repeatable source of choices (mulberry32). */
class Dice {
  #state;

  constructor(seed) {
    this.#state = seed;
  }

  below(limit) {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  pick(values) {
    return values[this.below(values.length)];
  }
}

const onLoads = [
  'ok',
  'ok',
  'ok',
  'ok',
  'sleep:0.2',
  'block',
  'spin',
  'fail:1',
  'crash',
  'exit:0',
  'garbage',
];
const creates = [...new Array(12).fill('ok'), 'null', 'garbage', 'sleep:0.1'];
const processes = (dice) => [
  'gain:0.5',
  `sleep:${dice.below(60)}`,
  'wild',
  'nan',
  `overrun:${1 + dice.below(4_000)}`,
  `crash:${dice.below(30)}`,
  `block:${dice.below(30)}`,
];

const scriptBodies = [
  'process: (frame) => frame',
  'process: (frame) => frame.subarray(1)',
  'process: () => { throw new Error("x"); }',
  'process: () => { for (const end = Date.now() + Math.random() * 40; Date.now() < end; ); }',
  'process: () => { for (;;); }',
  'process: () => { process.exit(1); }',
  'process: () => { setTimeout(() => { throw new Error("later"); }); }',
  'process: (frame) => { const held = []; for (;;) held.push(new Array(1e6).fill(frame.length)); }',
];

/** A filter that misbehaves as `dice` say, loaded as `fuzzed`. */
function loadFuzzed(dice, seed, plugins) {
  const kind = dice.pick(['native', 'native', 'native', 'hostile', 'script']);
  Object.assign(process.env, {
    OFFHOOK_PLUGIN_ON_LOAD: dice.pick(onLoads),
    OFFHOOK_PLUGIN_CREATE: dice.pick(creates),
    OFFHOOK_PLUGIN_PROCESS: dice.pick(processes(dice)),
    OFFHOOK_PLUGIN_SEED: String(seed),
  });
  const compiledCode = kind === 'hostile' ? hostile : undefined;
  const registry = new FilterRegistry({ loadDeadlineMs: 2_000, compiledCode });
  const { OFFHOOK_PLUGIN_ON_LOAD, OFFHOOK_PLUGIN_CREATE, OFFHOOK_PLUGIN_PROCESS } = process.env;
  let what = `${kind} on_load=${OFFHOOK_PLUGIN_ON_LOAD} create=${OFFHOOK_PLUGIN_CREATE} process=${OFFHOOK_PLUGIN_PROCESS}`;
  if (kind === 'script') {
    const body = dice.pick(scriptBodies);
    what = `script ${body}`;
    const modulePath = join(tmpdir(), `offhook-fuzz-${process.pid}-${scriptBodies.indexOf(body)}.mjs`);
    writeFileSync(modulePath, `export default { create: () => ({ ${body} }) };`);
    registry.loadScript({ moduleId: 'fuzzed', modulePath });
  } else {
    registry.loadNative({ moduleId: 'fuzzed', pluginPath: dice.pick(plugins) });
  }
  return { registry, what };
}

/** One call: a stream of 0.4 s through a filter. Returns what was wrong with its frames. */
async function play(seed, plugins) {
  const dice = new Dice(seed);
  const { registry, what } = loadFuzzed(dice, seed, plugins);
  const faults = [];
  registry.roomConnecting({ url, token: 'token' });
  const numChannels = 1 + dice.below(2);
  const session = registry.create('fuzzed', {
    sampleRate: dice.pick([8_000, 16_000, 24_000, 48_000]),
    numChannels,
    format: dice.pick(['int16', 'float']),
    streamInfo,
  });
  // Some calls begin before their filter has a host, most when it is known what becomes of it.
  const patienceMs = dice.below(4) === 0 ? 0 : 3_000;
  const startedMs = performance.now();
  while (session.status.state === 'loading' && performance.now() - startedMs < patienceMs) await delay(20);
  const answers = new Array(framesPerRun).fill(0);
  const heldUp = monitorEventLoopDelay({ resolution: 5 });
  heldUp.enable();
  let slowestMs = 0;
  const length = dice.below(10) === 0 ? 1 + dice.below(5_000) : (session.inputRate / 100) * numChannels;
  for (let frame = 0; frame < framesPerRun; frame++) {
    const sentMs = performance.now();
    session.process(new Int16Array(length).fill(1_000), () => {
      answers[frame]++;
      slowestMs = Math.max(slowestMs, performance.now() - sentMs);
    });
    if (dice.below(20) === 0) session.updateStreamInfo({ ...streamInfo, roomId: `RM${frame}` });
    if (dice.below(30) === 0) registry.updateToken(url, `token ${frame}`);
    await delay(frameMs);
  }
  await delay(20);
  heldUp.disable();
  session.close();
  const { frames } = session.status;
  registry.close();
  if (answers.some((count) => count !== 1)) faults.push(`answers ${answers}`);
  // Two timers, one after the other, may each have been held up.
  if (slowestMs > lateMs + (2 * heldUp.max) / 1e6) faults.push(`slowest frame ${Math.round(slowestMs)} ms`);
  const counted = frames.processed + frames.late + frames.bypassed + frames.failed;
  if (counted !== framesPerRun) faults.push(`counted ${JSON.stringify(frames)}`);
  return { seed, what, faults, frames };
}

/**
 * Plays calls with filters that misbehave at random.
 *
 * @param {{ runs: number, atOnce: number, firstSeed?: number, plugins: string[] }} options plugins: compiled gain.c
 * @returns {Promise<{ runs: number, processed: number, late: number, bypassed: number, failed: number, faulty: object[] }>}
 *   `faulty` holds the runs in which a frame was lost, doubled, kept or not counted
 */
export async function fuzz({ runs, atOnce, firstSeed = 1, plugins }) {
  const total = { runs, processed: 0, late: 0, bypassed: 0, failed: 0, faulty: [] };
  let next = firstSeed;
  const player = async () => {
    while (next < firstSeed + runs) {
      const result = await play(next++, plugins);
      for (const name of ['processed', 'late', 'bypassed', 'failed']) total[name] += result.frames[name];
      if (result.faults.length > 0) total.faulty.push(result);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, player));
  return total;
}
