import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { describeOnServers } from '../scenes/stage.js';
import { missingPart } from '../support/parts.js';
import { isGone } from '../support/processes.js';
import type { Program } from '../support/program.mjs';
import { startPythonAgent } from '../support/python-agent.mjs';
import { until } from '../support/until.js';

/** How often each is killed: KILLS=10 for the whole of it, which takes minutes. */
const kills = Number(process.env.KILLS ?? 2);
const seed = Number(process.env.KILLS_SEED ?? 1);
const leaveMs = 2_000;

/** Numbers from 0 to 1 that are the same in every run (mulberry32). */
function randomNumbers(from: number): () => number {
  let state = from;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Ends a process that must be there: what a test kills must not have been gone before. */
function kill(pid: number): number {
  process.kill(pid, 'SIGKILL');
  return Date.now();
}

/** A program whose room was lost hears so, and of the end of the stream that it heard; undefined when nothing was lost. */
async function endOfRoom(python: Program, killedMs: number) {
  const lost = await python.waitFor('disconnected', {}, leaveMs).catch(() => undefined);
  if (lost && python.events.some(({ event }) => event === 'firstAudible')) {
    const ended = await python.waitFor('streamEnded', { identity: 'speaker' });
    expect(ended.atMs - killedMs).toBeLessThan(leaveMs);
  }
  return lost;
}

/** Another participant that has seen the program in the room sees it leave. */
async function leftAfter(other: Program, killedMs: number): Promise<void> {
  const identity = 'python';
  if (!other.events.some((event) => event.event === 'participantConnected' && event.identity === identity))
    return;
  const left = await other.waitFor('participantDisconnected', { identity });
  expect(left.atMs - killedMs).toBeLessThan(leaveMs);
}

describeOnServers('when a process is killed at any moment of a call', (stage) => {
  const lacks = missingPart(['python livekit', 'cc']);
  const play = lacks ? test.skip : test;
  let temporary: string;
  beforeAll(() => {
    temporary = mkdtempSync(join(tmpdir(), 'recovery-'));
  });
  afterEach(async () => {
    await stage.clear();
    // A Python that is killed leaves those of its own multiprocessing, on any engine.
    const left = readdirSync(temporary).filter((name) => !/^(pymp-|tmp)/.test(name));
    expect(left, 'files that are left').toEqual([]);
  });
  afterAll(() => rmSync(temporary, { recursive: true, force: true }));

  play(
    'the engine: the program hears the end of its room and of its streams, and joins again',
    async () => {
      const random = randomNumbers(seed);
      const witness = await stage.join('offhook', stage.newRoom(), 'witness');
      await witness.call('publishTone', { hz: 440 });
      const python = await stage.start('offhook', 'python', { TMPDIR: temporary });
      let files = 0;
      for (let i = 0; i <= kills; i++) {
        python.events.length = 0;
        await python.call('newRoom');
        await python.call('resample', { samples: 480, inputRate: 48_000, outputRate: 16_000 });
        const [engine] = await python.call<number[]>('children');
        if (i === 0) files = await python.call<number>('openFiles');
        const room = stage.newRoom();
        const speaker = await stage.join('offhook', room, 'speaker');
        await speaker.call('publishTone', { hz: 440 });
        const entering = stage
          .enter(python, room, 'python')
          .then(() => python.call('publishTone', { hz: 880 }))
          .then(
            () => undefined,
            (error: Error) => error,
          );
        if (i === kills) {
          // The last one is a call as any other.
          expect(await entering).toBeUndefined();
          await python.waitFor('firstAudible', { identity: 'speaker' });
          await speaker.waitFor('firstAudible', { identity: 'python' });
          expect(await python.call('rpc', { to: 'speaker', payload: 'again' })).toMatchObject({
            value: 'again',
          });
          expect(await python.call('openFiles')).toBeLessThanOrEqual(files);
          break;
        }
        await pause(random() * 800);
        const killedMs = kill(engine!);
        const failed = await entering;
        await until('end of the engine', () => isGone(engine!), { timeoutMs: leaveMs });
        const lost = failed?.message.startsWith('connect') ? undefined : await endOfRoom(python, killedMs);
        if (lost) {
          expect(lost.atMs - killedMs).toBeLessThan(leaveMs);
        } else if (failed === undefined) {
          // It was killed before it was asked to connect: another one has done that.
          await python.waitFor('firstAudible', { identity: 'speaker' });
        } else {
          expect(Date.now() - killedMs).toBeLessThan(leaveMs);
          expect(failed.message).toMatch(/gone|ended by signal 9|AssertionError/);
        }
        if (lost || failed) await leftAfter(speaker, killedMs);
        await speaker.stop();
      }
      const [last] = await python.call<number[]>('children');
      await python.stop();
      await until('end of the engine', () => isGone(last!));
    },
    60_000 + kills * 20_000,
  );

  play(
    'the program: its room is left, and its engine ends',
    async () => {
      const random = randomNumbers(seed + 1);
      const room = stage.newRoom();
      const witness = await stage.join('offhook', room, 'witness');
      for (let i = 0; i < kills; i++) {
        const identity = `python-${i}`;
        const python = await stage.start('offhook', 'python', { TMPDIR: temporary });
        await python.call('resample', { samples: 480, inputRate: 48_000, outputRate: 16_000 });
        const [engine] = await python.call<number[]>('children');
        const entering = stage.enter(python, room, identity).then(
          () => python.call('publishTone', { hz: 880 }).catch(() => {}),
          () => {},
        );
        await pause(random() * 800);
        const killedMs = kill(python.pid);
        await entering;
        await until('end of the engine', () => isGone(engine!));
        expect(Date.now() - killedMs).toBeLessThan(leaveMs + 500);
        const came = witness.events.find(
          ({ event, identity: who }) => event === 'participantConnected' && who === identity,
        );
        if (came) {
          const left = await witness.waitFor('participantDisconnected', { identity });
          expect(left.atMs - killedMs).toBeLessThan(leaveMs);
        }
      }
      expect(await witness.call('participants')).toEqual([]);
      await stage.enter(await stage.start('offhook', 'python'), room, 'after');
      await witness.untilPresent('after');
    },
    60_000 + kills * 20_000,
  );

  play(
    'the worker of an agent: its rooms are left, its processes end, and the next worker answers',
    async () => {
      const random = randomNumbers(seed + 2);
      for (let i = 0; i <= kills; i++) {
        const agent = await startPythonAgent(stage.server, 'offhook', {
          AGENT_CALLS: '100',
          TMPDIR: temporary,
        });
        try {
          const caller = await stage.join('offhook', stage.newRoom(), 'caller');
          const { identity } = await caller.waitFor('firstAudible', {}, 60_000);
          if (i === kills) break;
          await pause(random() * 2_000);
          const processes = processesOf(agent.pid);
          expect(processes.length).toBeGreaterThan(2);
          const killedMs = kill(agent.pid);
          const left = await caller.waitFor('participantDisconnected', { identity });
          expect(left.atMs - killedMs).toBeLessThan(leaveMs);
          await until('end of its processes', () => processes.every(isGone), {
            seen: () => processes.filter((pid) => !isGone(pid)),
          });
          await caller.stop();
        } finally {
          await agent.stop(500);
        }
      }
    },
    120_000 + kills * 60_000,
  );
});

/** A process and all that it started, directly and by others. */
function processesOf(pid: number): number[] {
  const children: number[] = [];
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    children.push(...readChildren(pid, task));
  }
  return [pid, ...children.flatMap(processesOf)];
}

function readChildren(pid: number, task: string): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8')
      .split(' ')
      .filter((child) => child !== '')
      .map(Number);
  } catch {
    // It ended meanwhile.
    return [];
  }
}
