// Memory and CPU of one process that is in 1, 10 or 50 rooms, publishing and subscribing one audio track in each. The
// clients of the process meet in pairs, so no other process is needed but for the single one.
import { spawnSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startParticipant } from '../../test/support/program.mjs';
import { engines } from '../bench.mjs';

const settleMs = 5_000;
/** V8 has compiled by then what runs often. */
const warmAfterMs = 40_000;

const floorProgram = fileURLToPath(new URL('../programs/floor.mjs', import.meta.url));
const floorWarmMs = 5_000;

/** Milliseconds of CPU per second and room that the media alone takes, in one thread. */
function measureFloor(clients, measureMs) {
  const { stdout, status } = spawnSync(
    process.execPath,
    [floorProgram, String(clients), String(floorWarmMs), String(measureMs)],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] },
  );
  if (status !== 0) throw new Error(`the floor could not be measured (exit code ${status})`);
  return JSON.parse(stdout);
}

async function joinsFor(bench, clients) {
  const joins = [];
  for (let pair = 0; pair * 2 < clients; pair++) {
    const room = bench.newRoom();
    for (const side of ['a', 'b']) joins.push(await bench.join(room, `client-${pair}${side}`));
  }
  return joins;
}

/** What `program` uses over the next `measureMs`. */
async function usageOver(program, measureMs) {
  const before = await program.call('usage', {}, 30_000);
  await delay(measureMs);
  const after = await program.call('usage', {}, 30_000);
  const seconds = (after.atMs - before.atMs) / 1_000;
  return {
    rssMb: after.rssMb,
    coresUsed: (after.cpuSeconds - before.cpuSeconds) / seconds,
    threads: threadsOver(before, after, seconds),
    framesHeardPerSecond: (after.framesHeard - before.framesHeard) / seconds,
  };
}

const noThread = { coresUsed: 0, wakeUpsPerSecond: 0 };

/** What the program's thread, the busiest of the others (offhook's engine thread), and the rest used between two readings. */
function threadsOver(before, after, seconds) {
  const earlier = new Map(before.threads.map((thread) => [thread.id, thread]));
  const used = after.threads.map((thread) => {
    const { cpuSeconds = 0, wakeUps = 0 } = earlier.get(thread.id) ?? {};
    return {
      isMain: thread.isMain,
      coresUsed: (thread.cpuSeconds - cpuSeconds) / seconds,
      wakeUpsPerSecond: (thread.wakeUps - wakeUps) / seconds,
    };
  });
  const [busiest = noThread, ...rest] = used
    .filter(({ isMain }) => !isMain)
    .sort((a, b) => b.coresUsed - a.coresUsed);
  return {
    program: used.find(({ isMain }) => isMain) ?? noThread,
    busiest,
    rest: rest.reduce(
      (sum, thread) => ({
        coresUsed: sum.coresUsed + thread.coresUsed,
        wakeUpsPerSecond: sum.wakeUpsPerSecond + thread.wakeUpsPerSecond,
      }),
      noThread,
    ),
  };
}

/** Milliseconds of CPU per second and room, and wake-ups per second of the whole process. */
function perThread({ program, busiest, rest }, clients) {
  const msPerSecondAndRoom = (...threads) =>
    (threads.reduce((sum, { coresUsed }) => sum + coresUsed, 0) / clients) * 1_000;
  return {
    programThreadCpuMs: msPerSecondAndRoom(program),
    busiestThreadCpuMs: msPerSecondAndRoom(busiest),
    otherThreadsCpuMs: msPerSecondAndRoom(busiest, rest),
    programWakeUpsPerSecond: program.wakeUpsPerSecond,
    otherWakeUpsPerSecond: busiest.wakeUpsPerSecond + rest.wakeUpsPerSecond,
  };
}

/**
 * Usage of a process with `clients` rooms: when they have just been joined, and once it is warm.
 *
 * @param {string} [key] encrypts end to end
 */
async function measure(bench, engine, clients, measureMs, key) {
  const program = await bench.start(engine);
  const joins = await joinsFor(bench, clients);
  const peer = clients === 1 ? startParticipant('native') : undefined;
  try {
    if (peer) {
      await peer.call('connect', joins.pop());
      await peer.call('publishTone', { hz: 880 });
    }
    const { rssMb: rssBeforeConnectMb } = await program.call('usage', {}, 30_000);
    await program.call('openRooms', { joins, key }, 120_000);
    await delay(settleMs);
    const young = await usageOver(program, measureMs);
    await delay(warmAfterMs - settleMs - measureMs);
    const warm = await usageOver(program, measureMs);
    return {
      rssBeforeConnectMb,
      rssMb: young.rssMb,
      cpuSecondsPerRoomMinute: (young.coresUsed / clients) * 60,
      warmCpuSecondsPerRoomMinute: (warm.coresUsed / clients) * 60,
      ...perThread(warm.threads, clients),
      framesHeardPerSecondAndRoom: warm.framesHeardPerSecond / clients,
    };
  } finally {
    await peer?.stop();
    await bench.stop(program);
  }
}

export const rooms = [1, 10, 50].map((clients) => ({
  name: `rooms-${clients}`,
  title: `A process in ${clients} ${clients === 1 ? 'room' : 'rooms'}`,
  unit: 'usage',
  async run(bench, { measureMs }) {
    const result = {};
    for (const [index, engine] of engines.entries()) {
      bench.progress(index, engines.length, `${clients} rooms on ${engine}`);
      result[engine] = await measure(bench, engine, clients, measureMs).catch((cause) => {
        throw new Error(`${engine}: ${cause.message}`, { cause });
      });
    }
    result.floorCpuMs = measureFloor(clients, measureMs).cpuMs;
    // offhook's thread starts with the first connect: until then, this is the program without any engine.
    const programMb = result.offhook.rssBeforeConnectMb;
    for (const engine of engines) result[engine].rssBeyondProgramMb = result[engine].rssMb - programMb;
    return result;
  },
}));

const encryptedClients = 10;

/** What end-to-end encryption adds: the same rooms with it on both engines, and without it on offhook. */
export const encryption = {
  name: 'encryption',
  title: `A process in ${encryptedClients} rooms with end-to-end encryption`,
  unit: 'usage',
  async run(bench, { measureMs }) {
    const run = async (index, engine, key) => {
      bench.progress(
        index,
        3,
        `${encryptedClients} rooms on ${engine}, ${key ? 'encrypted' : 'not encrypted'}`,
      );
      return measure(bench, engine, encryptedClients, measureMs, key);
    };
    const native = await run(0, 'native', 'the key');
    const offhook = await run(1, 'offhook', 'the key');
    const plain = await run(2, 'offhook', undefined);
    for (const usage of [native, offhook])
      usage.rssBeyondProgramMb = usage.rssMb - offhook.rssBeforeConnectMb;
    return { native, offhook, plain };
  },
};
