import { afterAll, beforeAll, expect, test } from 'vitest';
import { usageOfTree } from '../../bench/process-tree.mjs';
import { offhook } from '../library/engine-of-the-package.js';
import { Stage } from '../scenes/stage.js';
import { startEngine } from '../support/engine-process.mjs';
import { describeWith } from '../support/parts.js';
import { isGone } from '../support/processes.js';
import type { Program } from '../support/program.mjs';
import { startPythonAgent } from '../support/python-agent.mjs';
import { makeToken } from '../support/token.mjs';
import { levelDbfs } from '../support/tone.js';
import { until, within } from '../support/until.js';

/** The whole takes long; CI plays a part of it: MANY_CALLS=200 MANY_CALLS_AT_ONCE=20 for all. */
const calls = Number(process.env.MANY_CALLS ?? 4);
const atOnce = Number(process.env.MANY_CALLS_AT_ONCE ?? 2);
const callTimeoutMs = 60_000;
const audibleDbfs = -40;
/** A job process says goodbye, and the supervisor starts another, within this time on a busy machine. */
const restTimeoutMs = 60_000;

describeWith(['python livekit', 'cc'], 'one worker of livekit-agents', () => {
  const stage = new Stage();
  beforeAll(() => stage.open('offhook dev'));
  afterAll(async () => {
    await stage.clear();
    await stage.close();
  });

  /** Milliseconds from joining to the agent's voice, of a caller in this process: 20 of their own would take the machine. */
  async function call(agent: Program): Promise<number> {
    const name = stage.newRoom();
    const room = new offhook.Room();
    const heard = new Promise<number>((resolve) =>
      room.on('trackSubscribed', async ({ track }) => {
        if (!(track instanceof offhook.RemoteAudioTrack)) return;
        for await (const { data } of track.frames({ sampleRate: 16_000 })) {
          if (levelDbfs(data) > audibleDbfs) return resolve(Date.now());
        }
      }),
    );
    try {
      await room.connect(stage.server.url, await makeToken(stage.server, name, 'caller'));
      const joinedMs = Date.now();
      const heardMs = await within('voice of the agent', heard, {
        timeoutMs: callTimeoutMs,
        seen: () => agent.output.filter((line) => line.includes(name)).join('\n'),
      });
      return heardMs - joinedMs;
    } finally {
      await room.disconnect();
    }
  }

  /** Calls one after the other on each of `atOnce` lines. Resolves with how long each caller waited. */
  async function play(agent: Program, count: number): Promise<number[]> {
    let left = count;
    const waits: number[] = [];
    const line = async () => {
      while (left-- > 0) waits.push(await call(agent));
    };
    await Promise.all(Array.from({ length: atOnce }, line));
    return waits;
  }

  test.each(['own', 'shared'])(
    `answers ${calls} calls in a row, ${atOnce} at a time, with an engine of the kind “%s”`,
    async (kind) => {
      const engine = await startEngine(kind);
      const agent = await startPythonAgent(stage.server, 'offhook', { AGENT_CALLS: '100', ...engine.env });
      const roots = [agent.pid, ...engine.pids];
      const pids = new Set<number>();
      const watch = setInterval(() => {
        for (const pid of usageOfTree(roots).pids) pids.add(pid);
      }, 500);
      try {
        const atRest = usageOfTree(roots).processes;
        /** What all processes take together when no call is left. */
        const restingMb = async () => {
          await until('end of the calls’ processes', () => usageOfTree(roots).processes <= atRest, {
            timeoutMs: restTimeoutMs,
            everyMs: 500,
            seen: () => usageOfTree(roots).pids,
          });
          return usageOfTree(roots).pssMb;
        };
        const third = Math.ceil(calls / 3);
        const waits = await play(agent, third);
        const afterFirstMb = await restingMb();
        waits.push(...(await play(agent, calls - third)));
        const afterAllMb = await restingMb();
        waits.sort((a, b) => a - b);
        console.log(
          `${kind}: ${waits.length} calls heard after ${waits[waits.length >> 1]} ms (median), ${waits.at(-1)} ms (most); ${pids.size} processes in all, ${atRest} at rest, ${afterFirstMb.toFixed(0)} MB after ${third} calls, ${afterAllMb.toFixed(0)} MB after all`,
        );
        expect(waits).toHaveLength(calls);
        expect(afterAllMb).toBeLessThan(afterFirstMb * 1.1);
      } finally {
        clearInterval(watch);
        await agent.stop();
        engine.stop();
      }
      await until('end of every process', () => [...pids].every(isGone), {
        timeoutMs: restTimeoutMs,
        seen: () => [...pids].filter((pid) => !isGone(pid)),
      });
    },
    calls * callTimeoutMs,
  );
});
