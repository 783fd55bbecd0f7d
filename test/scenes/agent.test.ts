import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readWav } from '../../src/cli/demo/wav.js';
import { freeTcpPort } from '../support/livekit-server.mjs';
import { missingPart } from '../support/parts.js';
import { Program } from '../support/program.mjs';
import { makeToken } from '../support/token.mjs';
import { audiblePart, levelDbfs } from '../support/tone.js';
import { describeOnServers } from './stage.js';

const examples = fileURLToPath(new URL('../../examples', import.meta.url));
const agentReadyTimeoutMs = 40_000;
const callTimeoutMs = 40_000;

describeOnServers('an agent of @livekit/agents on this engine', (stage, kind) => {
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'offhook-agent-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** Starts the agent, and waits until a job process is ready for a call. */
  async function startAgent(env: Record<string, string>): Promise<Program> {
    const agent = new Program(join(examples, 'agent.mjs'), {
      engine: 'offhook',
      args: ['start'],
      env: {
        LIVEKIT_URL: stage.server.url,
        LIVEKIT_API_KEY: stage.server.apiKey,
        LIVEKIT_API_SECRET: stage.server.apiSecret,
        AGENT_PORT: String(await freeTcpPort()),
        ...env,
      },
    });
    await agent.waitForLine('registered worker', agentReadyTimeoutMs);
    await agent.waitForLine('ready for a call', agentReadyTimeoutMs);
    return agent;
  }

  /** Calls the agent from the native engine; resolves when the caller has hung up. */
  async function call(): Promise<{ caller: Program; heard: { samples: Int16Array; sampleRate: number } }> {
    const wav = join(folder, 'heard.wav');
    const token = await makeToken(stage.server, stage.newRoom(), 'caller');
    const caller = new Program(join(examples, 'caller.mjs'), {
      engine: 'native',
      args: [stage.server.url, token, wav],
    });
    await Promise.race([
      caller.waitFor('hung-up', {}, callTimeoutMs),
      caller.waitFor('gave-up', {}, callTimeoutMs),
    ]);
    await caller.untilEnded();
    return { caller, heard: readWav(readFileSync(wav)) };
  }

  async function expectConversation(env: Record<string, string> = {}): Promise<void> {
    const agent = await startAgent(env);
    try {
      const { caller, heard } = await call();
      expect(caller.events.map(({ event }) => event)).toEqual(
        expect.arrayContaining(['ringing', 'greeted', 'speaks', 'answered', 'hung-up']),
      );
      expect(levelDbfs(audiblePart(heard).samples)).toBeGreaterThan(-35);
      const [dialled, greeted] = await Promise.all([caller.waitFor('calling'), caller.waitFor('greeted')]);
      expect(greeted.atMs - dialled.atMs).toBeLessThan(5_000);
      if (env.NOISE_FILTER_LIBRARY) await agent.waitForLine('unavailable');
    } finally {
      await agent.stop();
    }
  }

  test(
    'is given the call, greets the caller, hears what is said and answers',
    () => expectConversation(),
    90_000,
  );

  const missing = missingPart(['cc']);
  const title = 'does so beside a noise filter that never loads';
  describe.skipIf(missing !== undefined)(
    missing ? `${title} (skipped: ${missing} is missing)` : title,
    () => {
      test(`on ${kind}`, () => {
        const library = join(folder, 'noise_filter.so');
        const source = join(examples, 'noise-filter/noise_filter.c');
        expect(spawnSync('cc', ['-shared', '-fPIC', '-o', library, source]).status).toBe(0);
        return expectConversation({
          NOISE_FILTER_LIBRARY: library,
          NOISE_FILTER_ON_LOAD: 'block',
          OFFHOOK_FILTER_ENV: 'NOISE_FILTER_ON_LOAD',
        });
      }, 90_000);
    },
  );
});
