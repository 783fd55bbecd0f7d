import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ServerProcess } from '../support/server-process.js';
import { SignalPeer } from './signal-peer.js';

// The server, the attackers and the witness (this process) are a process each: none measures the work of another.

const program = fileURLToPath(new URL('programs/attacker.mjs', import.meta.url));

/** What each attack is answered with, where it is answered. */
const attacks: [name: string, answers: unknown][] = [
  ['halfOpenConnections', {}],
  ['pipelinedRequests', {}],
  ['pings', {}],
  ['longWords', {}],
  ['slowWriters', {}],
  // Of eight kinds in turn one has no room, and its bearer is told so; the others are refused.
  ['badTokens', { 400: 125, 401: 875 }],
  ['joins', {}],
  ['clientsThatDoNotRead', {}],
  ['oversizedMessages', {}],
  ['thousandsOfTracks', {}],
  ['candidates', {}],
  ['changes', {}],
  ['garbageOnTheMediaPort', {}],
];

let server: ServerProcess;
let witness: SignalPeer;
let running: ChildProcess | undefined;

beforeAll(async () => {
  server = await ServerProcess.start({ resumeWindowMs: 500, departureTimeoutS: 0.5 });
  witness = await SignalPeer.join(server.url, 'calm', 'witness');
});
afterAll(async () => {
  running?.kill('SIGKILL');
  witness.close();
  await server.stop();
});

/** Runs an attack to its end; resolves with what it was answered. */
async function attack(name: string): Promise<unknown> {
  running = spawn(process.execPath, [program, name, server.url, String(server.rtcPort)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [output] = await Promise.all([text(running.stdout!), once(running, 'exit')]);
  return JSON.parse(output);
}

/** How long a process has waited for a CPU because others of the machine had it, where the system says so. */
function waitedForCpuMs(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[1]) / 1e6;
  } catch {
    return 0;
  }
}

/** How long the witness waits for an answer, less what the machine kept server and witness waiting. */
async function answerMs(): Promise<number> {
  const pids = [server.pid, process.pid];
  const waitedMs = () => pids.reduce((sum, pid) => sum + waitedForCpuMs(pid), 0);
  const beforeMs = waitedMs();
  const tookMs = await witness.settled(60_000);
  return tookMs - (waitedMs() - beforeMs);
}

/** The longest that the witness waits for an answer until `done`. */
async function worstAnswerMs(done: Promise<unknown>): Promise<number> {
  let isOver = false;
  const end = done.finally(() => {
    isOver = true;
  });
  let worstMs = 0;
  while (!isOver) {
    worstMs = Math.max(worstMs, await answerMs());
    await delay(20);
  }
  await end;
  return Math.max(worstMs, await answerMs());
}

test.each(attacks)(
  '%s keep nobody else waiting',
  async (name, answers) => {
    const answered = attack(name);
    expect(await worstAnswerMs(answered)).toBeLessThan(1_000);
    expect(await answered).toEqual(answers);
    expect(server.isRunning).toBe(true);
  },
  60_000,
);

test('all attacks at once: others are answered within a second', async () => {
  const all = Promise.all(attacks.map(([name]) => attack(name)));
  expect(await worstAnswerMs(all)).toBeLessThan(1_000);
  expect(server.isRunning).toBe(true);
}, 120_000);

test('a minute later the server has the memory that it had before', async () => {
  const fresh = await ServerProcess.start({ resumeWindowMs: 500, departureTimeoutS: 0.5 });
  const attacked = server;
  try {
    server = fresh;
    const calm = await SignalPeer.join(server.url, 'calm', 'witness');
    await calm.publish({ cid: 'c' });
    await calm.settled();
    const attackAll = () => Promise.all(attacks.map(([name]) => attack(name)));
    // The state before: a server with one call on which all code has run once. What V8 compiles is kept, 3 MB here.
    await attackAll();
    const before = await server.memory();
    await attackAll();
    await delay(60_000);
    const after = await server.memory();
    calm.close();
    expect(after.usedBytes / before.usedBytes, JSON.stringify({ before, after })).toBeLessThan(1.2);
  } finally {
    await fresh.stop();
    server = attacked;
  }
}, 240_000);
