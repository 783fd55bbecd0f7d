import { spawnSync } from 'node:child_process';
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

/** Pids of every process of the agent, and of the engines that they started. */
function processesOf(group: number): number[] {
  const { stdout } = spawnSync('ps', ['-eo', 'pid=,pgid=,ppid=,args='], { encoding: 'utf8' });
  const rows = stdout.split('\n').map((line) => line.trim().split(/\s+/));
  const pids = new Set(rows.filter(([, pgid]) => Number(pgid) === group).map(([pid]) => Number(pid)));
  for (const [pid, , parent, ...args] of rows) {
    if (pids.has(Number(parent)) && args.join(' ').includes('engine/process.js')) pids.add(Number(pid));
  }
  return [...pids];
}

describeWith(['python livekit', 'cc'], 'one worker of livekit-agents', () => {
  const stage = new Stage();
  beforeAll(() => stage.open('offhook dev'));
  afterAll(async () => {
    await stage.clear();
    await stage.close();
  });

  test(
    `answers ${calls} calls in a row, ${atOnce} at a time, and leaves no process behind`,
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
        const idle = processesOf(agent.pid).length;
        let left = calls;
        const caller = async () => {
          while (left-- > 0) {
            const participant = await stage.join('offhook', stage.newRoom(), 'caller');
            await participant.waitFor('firstAudible', {}, callTimeoutMs);
            await participant.stop();
          }
        };
        await Promise.all(Array.from({ length: atOnce }, caller));
        // A job's process ends, its engine with it, and one that is idle takes its place.
        await expect
          .poll(() => processesOf(agent.pid).length, { timeout: 60_000, interval: 500 })
          .toBeLessThanOrEqual(idle);
      } finally {
        await agent.stop(500);
      }
      await expect.poll(() => processesOf(agent.pid), { timeout: 10_000 }).toEqual([]);
    },
    calls * callTimeoutMs,
  );
});
