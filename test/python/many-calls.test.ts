import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Stage } from '../scenes/stage.js';
import { freeTcpPort } from '../support/livekit-server.mjs';
import { describeWith } from '../support/parts.js';
import { Program } from '../support/program.mjs';

const agentScript = fileURLToPath(new URL('../../examples/python/agent.py', import.meta.url));
/** The whole takes long; CI plays a part of it: MANY_CALLS=200 MANY_CALLS_AT_ONCE=20 for all. */
const calls = Number(process.env.MANY_CALLS ?? 4);
const atOnce = Number(process.env.MANY_CALLS_AT_ONCE ?? 2);
const callTimeoutMs = 60_000;

describeWith(['python livekit', 'cc'], 'one worker of livekit-agents', () => {
  const stage = new Stage();
  beforeAll(() => stage.open('offhook dev'));
  afterAll(async () => {
    await stage.clear();
    await stage.close();
  });

  test(
    `answers ${calls} calls in a row, ${atOnce} at a time`,
    async () => {
      const agent = new Program(agentScript, {
        engine: 'offhook',
        args: ['start'],
        env: {
          LIVEKIT_URL: stage.server.url,
          LIVEKIT_API_KEY: stage.server.apiKey,
          LIVEKIT_API_SECRET: stage.server.apiSecret,
          AGENT_PORT: String(await freeTcpPort()),
          AGENT_CALLS: '100',
        },
      });
      try {
        await agent.waitForLine('registered worker', callTimeoutMs);
        await agent.waitForLine('ready for a call', callTimeoutMs);
        let left = calls;
        let answered = 0;
        const caller = async () => {
          while (left-- > 0) {
            const participant = await stage.join('offhook', stage.newRoom(), 'caller');
            await participant.waitFor('firstAudible', {}, callTimeoutMs);
            answered++;
            await participant.stop();
          }
        };
        await Promise.all(Array.from({ length: atOnce }, caller));
        expect(answered).toBe(calls);
      } finally {
        await agent.stop(500);
      }
    },
    calls * callTimeoutMs,
  );
});
