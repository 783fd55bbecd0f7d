// The seed scene: callers of an agent of livekit-agents, with no filter and with one whose on_load never returns.
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildNoiseFilter } from '../../dist/cli/demo/noise-filter.js';
import { startEngine } from '../../test/support/engine-process.mjs';
import { startParticipant } from '../../test/support/program.mjs';
import { blockingFilter, startPythonAgent } from '../../test/support/python-agent.mjs';
import { summarize } from '../statistics.mjs';

const examples = fileURLToPath(new URL('../../examples', import.meta.url));
const giveUpMs = 10_000;

/** Milliseconds from dialling to the first audible sound; undefined for a caller who gave up. */
async function call(bench) {
  const room = bench.newRoom();
  const caller = startParticipant('native');
  try {
    await caller.waitFor('started');
    await caller.call('connect', await bench.join(room, 'caller'));
    const connectedAtMs = Date.now();
    const agentHere = caller.events.find(({ event }) => event === 'firstAudible');
    const { atMs } = agentHere ?? (await caller.waitFor('firstAudible', {}, giveUpMs));
    return atMs - connectedAtMs;
  } catch (error) {
    if (!/no event firstAudible/.test(error.message)) throw error;
    return undefined;
  } finally {
    await caller.stop();
  }
}

/** @param kind of engine: `shared` is what offhook-run gives, `own` what the library's path alone gives */
async function play(bench, kind, filter, calls) {
  const { engine, env, stop } = await startEngine(kind);
  const agent = await startPythonAgent(bench.server, engine, {
    ...env,
    AGENT_IDLE_PROCESSES: '2',
    AGENT_CALLS: '100',
    ...(filter && blockingFilter(filter)),
  });
  const heard = [];
  try {
    await call(bench);
    for (let n = 0; n < calls; n++) {
      heard.push(await call(bench));
      bench.progress(n + 1, calls, `${kind}${filter ? ' with a filter that blocks' : ''}`);
    }
  } finally {
    await agent.stop(500);
    stop();
  }
  const answered = heard.filter((ms) => ms !== undefined);
  return { calls, answered: answered.length, ...(answered.length > 0 && { ms: summarize(answered) }) };
}

export const scene = {
  name: 'scene',
  title: 'From joining to hearing the agent, with no filter and with one that blocks for ever',
  unit: 'calls',
  async run(bench, { calls }) {
    const folder = mkdtempSync(join(tmpdir(), 'offhook-scene-'));
    const filter = buildNoiseFilter(join(examples, 'noise-filter/noise_filter.c'), folder).library;
    const result = {};
    for (const kind of ['shared', 'own', 'native']) {
      result[`${kind}, no filter`] = await play(bench, kind, undefined, calls);
      result[`${kind}, blocked`] = await play(
        bench,
        kind,
        filter,
        kind === 'native' ? Math.min(calls, 3) : calls,
      );
    }
    return result;
  },
};
