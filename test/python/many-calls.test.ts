import { afterAll, beforeAll, expect, test } from 'vitest';
import { pidsOfTree, usageOfTree } from '../../bench/process-tree.mjs';
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

/**
 * The whole takes long; CI plays a part of it: MANY_CALLS=200 MANY_CALLS_AT_ONCE=20 for all. MANY_CALLS_ENGINES=native,shared
 * plays the same calls on the native library, where a lost call is a finding and no failure.
 */
const calls = Number(process.env.MANY_CALLS ?? 4);
const atOnce = Number(process.env.MANY_CALLS_AT_ONCE ?? 2);
const chosenKinds = (process.env.MANY_CALLS_ENGINES ?? 'own,shared').split(',');
const callTimeoutMs = 60_000;
const audibleDbfs = -40;
/** A job process says goodbye, and the supervisor starts another, within this time on a busy machine. */
const restTimeoutMs = 60_000;

interface Call {
  /** From joining to the agent's voice; undefined when the call was lost. */
  waitedMs?: number;
  /** Why the call was lost. */
  lost?: string;
  /** What happened to the caller, and when. */
  steps: string[];
}

describeWith(['python livekit', 'cc'], 'one worker of livekit-agents', () => {
  const stage = new Stage();
  beforeAll(() => stage.open('offhook dev'));
  afterAll(async () => {
    await stage.clear();
    await stage.close();
  });

  /** One call by a caller in this process: 20 of their own would take the machine. */
  async function call(agent: Program): Promise<Call> {
    const name = stage.newRoom();
    const room = new offhook.Room();
    const startedMs = performance.now();
    const steps: string[] = [];
    const step = (what: string) => steps.push(`${what} ${Math.round(performance.now() - startedMs)} ms`);
    for (const event of ['participantConnected', 'reconnecting', 'reconnected', 'disconnected'] as const)
      room.on(event, () => void step(event));
    const heard = new Promise<number>((resolve) =>
      room.on('trackSubscribed', async ({ track }) => {
        step('trackSubscribed');
        if (!(track instanceof offhook.RemoteAudioTrack)) return;
        for await (const { data } of track.frames({ sampleRate: 16_000 })) {
          if (levelDbfs(data) > audibleDbfs) return resolve(performance.now());
        }
      }),
    );
    try {
      await room.connect(stage.server.url, await makeToken(stage.server, name, 'caller'));
      step('joined');
      const joinedMs = performance.now();
      const heardMs = await within('voice of the agent', heard, { timeoutMs: callTimeoutMs });
      return { waitedMs: heardMs - joinedMs, steps };
    } catch (error) {
      step('lost');
      const told = agent.output.filter((line) => line.includes(name));
      return { lost: `${name}: ${error}; ${steps.join(', ')}\n${told.join('\n')}`, steps };
    } finally {
      await room.disconnect();
    }
  }

  /** Calls one after the other on each of `atOnce` lines. */
  async function play(agent: Program, count: number): Promise<Call[]> {
    let left = count;
    const played: Call[] = [];
    const line = async () => {
      while (left-- > 0) played.push(await call(agent));
    };
    await Promise.all(Array.from({ length: atOnce }, line));
    return played;
  }

  test.each(chosenKinds)(
    `answers ${calls} calls in a row, ${atOnce} at a time, with an engine of the kind “%s”`,
    async (kind) => {
      const engine = await startEngine(kind);
      const agent = await startPythonAgent(stage.server, engine.engine, {
        AGENT_CALLS: '100',
        ...engine.env,
      });
      const roots = [agent.pid, ...engine.pids];
      const pids = new Set<number>();
      const watch = setInterval(() => {
        for (const pid of pidsOfTree(roots)) pids.add(pid);
      }, 500);
      try {
        const atRest = pidsOfTree(roots).length;
        /** What all processes take together when no call is left. */
        const restingMb = async () => {
          await until('end of the calls’ processes', () => pidsOfTree(roots).length <= atRest, {
            timeoutMs: restTimeoutMs,
            everyMs: 500,
            seen: () => pidsOfTree(roots),
          });
          return usageOfTree(roots).pssMb;
        };
        const third = Math.ceil(calls / 3);
        const played = await play(agent, third);
        const afterFirstMb = await restingMb();
        played.push(...(await play(agent, calls - third)));
        const afterAllMb = await restingMb();
        const waits = played.flatMap(({ waitedMs }) => waitedMs ?? []).sort((a, b) => a - b);
        const lost = played.flatMap((one) => one.lost ?? []);
        const interrupted = played.filter(({ steps }) => steps.some((one) => one.startsWith('reconnecting')));
        console.log(
          `${kind}: ${waits.length} of ${played.length} calls heard after ${waits[waits.length >> 1]?.toFixed()} ms (median), ${waits.at(-1)?.toFixed()} ms (most), ${interrupted.length} callers reconnected; ${pids.size} processes in all, ${atRest} at rest, ${afterFirstMb.toFixed(0)} MB after ${third} calls, ${afterAllMb.toFixed(0)} MB after all${lost.map((one) => `\nlost: ${one}`).join('')}`,
        );
        expect(played).toHaveLength(calls);
        if (kind !== 'native') expect(lost).toEqual([]);
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
