import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test, vi } from 'vitest';
import { setLogSink } from '../../src/logging/index.js';
import {
  filtered,
  filterFrame,
  level,
  openRegistry,
  playWhileReady,
  streamInfo,
  streamIs,
  untilStatus,
  url,
} from './harness.js';
import { toneGainDb } from './levels.js';

const folder = mkdtempSync(join(tmpdir(), 'offhook-filter-'));

/** The path of a module with this text. */
function moduleOf(name: string, text: string): string {
  const path = join(folder, `${name}.mjs`);
  writeFileSync(path, text);
  return path;
}

function open(modulePath: string, options: object = {}) {
  const registry = openRegistry({ loadDeadlineMs: 1_000 });
  registry.load({ moduleId: 'script', pluginPath: modulePath });
  registry.roomConnecting({ url, token: 'token' });
  const session = registry.create('script', {
    sampleRate: 48_000,
    numChannels: 1,
    optionsJson: JSON.stringify(options),
    streamInfo,
  });
  return { registry, session };
}

const example = (name: string) => fileURLToPath(new URL(`../../examples/filters/${name}`, import.meta.url));

describe('a filter in JavaScript', () => {
  test('of the examples lets through what a telephone does', async () => {
    const { registry, session } = open(example('telephone.mjs'));
    await untilStatus(registry, streamIs('ready'));
    const [rumble, voice, hiss] = await Promise.all(
      [50, 1_000, 10_000].map((frequencyHz) => toneGainDb(session, frequencyHz)),
    );
    expect(voice).toBeGreaterThan(-1);
    expect(rumble).toBeLessThan(-20);
    expect(hiss).toBeLessThan(-15);
  });

  test('gets the room, the stream, its changes and its end', async () => {
    const path = moduleOf(
      'reporter',
      `const seen = [];
       export default {
         load: ({ url, token }) => { seen.push(['load', url, token]); },
         updateToken: ({ token }) => { seen.push(['token', token]); },
         create: ({ sampleRate, numChannels, options, streamInfo }) => {
           seen.push(['create', sampleRate, numChannels, options.a, streamInfo.trackId]);
           return {
             process: () => { throw new Error(JSON.stringify(seen)); },
             updateStreamInfo: ({ roomName }) => { seen.push(['info', roomName]); },
             close: () => { seen.push(['close']); },
           };
         },
       };`,
    );
    const { registry, session } = open(path, { a: 1 });
    await untilStatus(registry, streamIs('ready'));
    registry.updateToken(url, 'fresh');
    session.updateStreamInfo({ ...streamInfo, roomName: 'new' });
    expect(await filterFrame(session, level(1))).toBeUndefined();
    expect(session.status.frames.failed).toBe(1);
    session.close();
    const { streams } = registry.statuses()[0]!;
    expect(streams).toEqual([]);
  });

  test.each([
    ['is no filter', 'export const a = 1;', 'no default export with a function create'],
    ['does not parse', 'export default {', 'Unexpected end of input'],
    [
      'fails to load',
      'export default { load() { throw new Error("no licence"); }, create() {} };',
      'no licence',
    ],
    [
      'never loads',
      'export default { load: () => new Promise(() => {}), create() {} };',
      'not returned in time',
    ],
    ['spins while loading', 'export default { load() { for (;;); }, create() {} };', 'not returned in time'],
    ['exits', 'process.exit(3); export default {};', 'exited with code 3'],
  ])('that %s is unavailable and says why', async (name, text, reason) => {
    const { registry, session } = open(moduleOf(name.replaceAll(' ', '-'), text));
    // On a busy machine the load deadline may come first; what is wrong is said all the same.
    await untilStatus(
      registry,
      (status) => status.state === 'unavailable' && status.reason?.includes(reason) === true,
    );
    expect(await filterFrame(session, level(1000))).toBeUndefined();
  });

  test.each([
    ['throws', 'process() { throw new Error("oops"); }'],
    ['returns too few samples', 'process: () => new Int16Array(3)'],
    ['returns another type', 'process: () => "audio"'],
  ])('whose process %s lets the frame pass, and is taken out when it goes on', async (name, text) => {
    const path = moduleOf(name.replaceAll(' ', '-'), `export default { create: () => ({ ${text} }) };`);
    const warnings: string[] = [];
    setLogSink(({ message }) => warnings.push(message), 'warn');
    const { registry, session } = open(path);
    await untilStatus(registry, streamIs('ready'));
    for (let i = 0; i < 50; i++) expect(await filterFrame(session, level(1000))).toBeUndefined();
    setLogSink(() => {});
    // Its error once when it first fails, and once with the reason for which it is taken out.
    expect(warnings).toEqual([
      expect.stringMatching(/^failed on a frame; the frame passes unfiltered: (oops|process did not return)/),
      expect.stringMatching(/taken out until 5 s have passed/),
    ]);
    expect(session.status).toMatchObject({ state: 'unavailable', frames: { failed: 50 } });
    expect(session.status.reason).toMatch(
      /taken out until 5 s have passed: of the last 50 frames it failed on 50 \(/,
    );
  });

  test('that spins in process is taken out, and its worker is started again', async () => {
    const path = moduleOf('spin', 'export default { create: () => ({ process() { for (;;); } }) };');
    const { registry, session } = open(path);
    await untilStatus(registry, streamIs('ready'));
    await playWhileReady(session);
    expect(session.status.frames.late).toBeGreaterThanOrEqual(50);
    await untilStatus(registry, ({ restarts, state }) => restarts === 1 && state === 'ready');
    expect(session.status.state).toBe('unavailable');
  });

  test('that spins while loading is ended', async () => {
    const { registry } = open(moduleOf('spinner', 'export default { load() { for (;;); }, create() {} };'));
    await untilStatus(registry, ({ reason }) => reason === 'its worker has answered nothing for 2000 ms');
  });

  test('that throws in a notification goes on', async () => {
    const path = moduleOf(
      'complainer',
      `const no = () => { throw new Error('no'); };
       export default {
         updateToken: no,
         create: () => ({ process: () => undefined, updateStreamInfo: no, close: no }),
       };`,
    );
    const { registry, session } = open(path);
    registry.onStatus = () => {
      throw new Error('the program fails too');
    };
    await vi.waitFor(() => expect(session.status.state).toBe('ready'));
    registry.updateToken(url, 'fresh');
    session.updateStreamInfo(streamInfo);
    expect(await filtered(session, level(5))).toEqual(level(5));
    session.close();
    expect(registry.statuses()[0]?.restarts).toBe(0);
  });

  test('that works at one rate only is given it', async () => {
    const path = moduleOf(
      'one-rate',
      'export default { sampleRate: 48_000, create: () => ({ process: (frame) => frame.fill(frame.length) }) };',
    );
    const { registry, session } = open(path);
    await untilStatus(registry, streamIs('ready'));
    session.close();
    const later = registry.create('script', { sampleRate: 16_000, numChannels: 1, streamInfo });
    await untilStatus(registry, streamIs('ready'));
    expect([later.inputRate, later.outputRate]).toEqual([48_000, 48_000]);
    expect(await filtered(later, level(1))).toEqual(level(480));
  });

  test('that does not exist is refused at once', () => {
    expect(() => open('/nowhere/filter.mjs')).toThrow('filter module /nowhere/filter.mjs does not exist');
  });
});

describe('a filter in WebAssembly', () => {
  test('of the examples turns down what it hears', async () => {
    const { registry, session } = open(example('wasm-gain.mjs'), { gain: 0.25 });
    await untilStatus(registry, streamIs('ready'));
    expect(await filtered(session, level(1000))).toEqual(level(250));
  });
});
