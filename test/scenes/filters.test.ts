import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { describeWith } from '../support/parts.js';
import { compilePlugin } from '../support/plugin/compile.mjs';
import { type Program, startParticipant } from '../support/program.mjs';
import { makeToken } from '../support/token.mjs';
import { dominantFrequencyHz, levelDbfs } from '../support/tone.js';
import { Stage } from './stage.js';

const spokenDbfs = -20;
/** What a gain of a quarter makes of it. */
const filteredDbfs = spokenDbfs - 12;
const sampleRate = 24_000;

describeWith(['cc'], 'a filter of an unmodified program', () => {
  const stage = new Stage();
  const listeners: Program[] = [];
  let library: string;
  beforeAll(async () => {
    library = compilePlugin();
    await stage.open('offhook dev');
  });
  afterEach(async () => {
    await Promise.all(listeners.splice(0).map((listener) => listener.stop()));
    await stage.clear();
  });
  afterAll(() => stage.close());

  interface Filter {
    /** Code of the filter that is loaded as `filter` before the room is joined. */
    path?: string;
    moduleId?: string;
    options?: Record<string, unknown>;
    env?: Record<string, string>;
    /** Filters in the program itself, with a FrameProcessor. */
    quietened?: boolean;
    /** Of the tone; default 440. */
    hz?: number;
  }

  /** Joins a room in which somebody speaks a tone, hearing it through a filter. */
  async function listenThrough(filter: Filter): Promise<Program> {
    const { path, moduleId, options = {}, env = {}, quietened, hz = 440 } = filter;
    const room = stage.newRoom();
    const speaker = await stage.join('offhook', room, 'speaker');
    await speaker.call('publishTone', { hz, dbfs: spokenDbfs });
    const listener = startParticipant('offhook', env);
    listeners.push(listener);
    await listener.waitFor('started');
    if (path) await listener.call('loadFilter', { moduleId: 'filter', path });
    const noiseCancellation = path || moduleId ? { moduleId: moduleId ?? 'filter', options } : undefined;
    await listener.call('connect', {
      url: stage.server.url,
      token: await makeToken(stage.server, room, 'listener'),
      hearing: { sampleRate, noiseCancellation, quietened },
    });
    await listener.waitFor('trackSubscribed', { identity: 'speaker' });
    return listener;
  }

  /** Hears on until the last 0.3 s are at the level. */
  async function untilLevel(listener: Program, dbfs: number, toleranceDb = 1): Promise<void> {
    for (let tries = 0; ; tries++) {
      await delay(300);
      const { samples } = await listener.takeHeard('speaker');
      const heard = { samples: samples.subarray(-7_200), sampleRate };
      if (Math.abs(levelDbfs(heard.samples) - dbfs) < toleranceDb) {
        expect(Math.abs(dominantFrequencyHz(heard) - 440)).toBeLessThanOrEqual(5);
        return;
      }
      expect(tries, `level is ${levelDbfs(heard.samples)} dBFS`).toBeLessThan(30);
    }
  }

  test('that is a native plugin is heard', async () => {
    const listener = await listenThrough({ path: library });
    await untilLevel(listener, filteredDbfs);
  });

  test.each(['block', 'spin', 'fail:1', 'crash', 'exit:1', 'garbage'])(
    'whose on_load does %s is not heard, and its audio is',
    async (onLoad) => {
      const listener = await listenThrough({ path: library, env: { OFFHOOK_PLUGIN_ON_LOAD: onLoad } });
      await untilLevel(listener, spokenDbfs);
    },
  );

  test.each(['crash:50', 'block:50', 'sleep:500', 'overrun:1000'])(
    'whose process does %s costs the filter, and not the audio',
    async (process) => {
      const listener = await listenThrough({ path: library, options: { process } });
      await delay(1_500);
      await listener.takeHeard('speaker');
      await delay(500);
      const { samples } = await listener.takeHeard('speaker');
      expect(levelDbfs(samples)).toBeGreaterThan(filteredDbfs - 3);
    },
  );

  test('in WebAssembly is loaded by its path like any other', async () => {
    const path = fileURLToPath(new URL('../../examples/filters/wasm-gain.mjs', import.meta.url));
    const listener = await listenThrough({ path, options: { gain: 0.25 } });
    await untilLevel(listener, filteredDbfs);
  });

  test('that comes with the engine takes a steady tone for noise', async () => {
    const listener = await listenThrough({ moduleId: 'offhook/rnnoise', hz: 1_000 });
    for (let dbfs = 0; dbfs > spokenDbfs - 30; ) {
      await delay(300);
      const { samples } = await listener.takeHeard('speaker');
      if (samples.length > 0) dbfs = levelDbfs(samples);
    }
  });

  test('that is a FrameProcessor works as on the native engine', async () => {
    const listener = await listenThrough({ quietened: true });
    await untilLevel(listener, filteredDbfs);
  });

  test('that nobody loaded is not heard, and the log names it', async () => {
    const listener = await listenThrough({ moduleId: 'nobody' });
    await untilLevel(listener, spokenDbfs);
    await listener.waitForLine('no audio filter has the module id nobody');
  });
});
