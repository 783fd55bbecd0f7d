import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { buildNoiseFilter } from '../../src/cli/demo/noise-filter.js';
import { Stage } from '../scenes/stage.js';
import { describeWith } from '../support/parts.js';
import { compilePlugin } from '../support/plugin/compile.mjs';
import { Program } from '../support/program.mjs';
import { blockingFilter, startPythonAgent } from '../support/python-agent.mjs';
import { makeToken } from '../support/token.mjs';
import { levelDbfs } from '../support/tone.js';

const examples = fileURLToPath(new URL('../../examples', import.meta.url));
const callTimeoutMs = 60_000;

describeWith(['python livekit', 'cc'], 'an agent of livekit-agents', () => {
  const stage = new Stage();
  let folder: string;
  let filter: string;
  let agent: Program | undefined;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'offhook-python-agent-'));
    filter = buildNoiseFilter(join(examples, 'noise-filter/noise_filter.c'), folder)!.library;
    await stage.open('offhook dev');
  });
  afterEach(async () => {
    await agent?.stop(500);
    await stage.clear();
  });
  afterAll(async () => {
    await stage.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function call(giveUpMs: number): Promise<Program> {
    const token = await makeToken(stage.server, stage.newRoom(), 'caller');
    const caller = new Program(join(examples, 'caller.mjs'), {
      engine: 'offhook',
      args: [stage.server.url, token, join(folder, 'heard.wav')],
      env: { GIVE_UP_MS: String(giveUpMs) },
    });
    await caller.untilEnded(callTimeoutMs);
    return caller;
  }

  const saw = (caller: Program) => caller.events.map(({ event }) => event);

  test('picks up and answers while its filter blocks in on_load for ever', async () => {
    agent = await startPythonAgent(stage.server, 'offhook', blockingFilter(filter));
    const caller = await call(20_000);
    expect(saw(caller), agent!.output.slice(-20).join('\n')).toEqual(
      expect.arrayContaining(['greeted', 'answered', 'hung-up']),
    );
  }, 150_000);

  test('lets its caller wait in vain on the native engine', async () => {
    agent = await startPythonAgent(stage.server, 'native', blockingFilter(filter));
    expect(saw(await call(8_000))).toContain('gave-up');
  }, 150_000);

  test('gives a filter what its package set in the environment, and the id of its own process', async () => {
    const log = join(folder, 'plugin.log');
    const plugin = compilePlugin();
    const room = stage.newRoom();
    const speaker = await stage.join('offhook', room, 'speaker');
    await speaker.call('publishTone', { hz: 440, dbfs: -20 });
    const listener = await stage.start('offhook', 'python');
    await listener.call('setEnvironment', {
      variables: { OFFHOOK_PLUGIN_PROCESS: 'gain:0.1', OFFHOOK_PLUGIN_LOG: log },
    });
    await listener.call('loadFilter', { moduleId: 'mine', path: plugin });
    await stage.enter(listener, room, 'listener', {
      hearing: { sampleRate: 48_000, noiseCancellation: { moduleId: 'mine' } },
    });
    await listener.waitFor('firstAudible', { identity: 'speaker' });
    await expect
      .poll(() => existsSync(log) && readFileSync(log, 'utf8'), { timeout: 10_000 })
      .toContain('on_load');
    await expect
      .poll(async () => levelDbfs((await listener.takeHeard('speaker')).samples), {
        timeout: 15_000,
        interval: 500,
      })
      .toBeCloseTo(-40, -0.5);
    // Another process knows nothing of it: its audio passes unfiltered.
    const other = await stage.join(
      'offhook',
      room,
      'other',
      { hearing: { sampleRate: 48_000, noiseCancellation: { moduleId: 'mine' } } },
      'python',
    );
    await other.waitForLine('no audio filter has the module id mine');
    await other.waitFor('firstAudible', { identity: 'speaker' });
  }, 90_000);
});
