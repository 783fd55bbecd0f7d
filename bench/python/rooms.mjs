// CPU and memory of all processes together when Python programs are in 1, 10 or 50 rooms, publishing and subscribing one audio
// track in each: in one process, as a program of many rooms has them, and one room a process, as livekit-agents does.
import { setTimeout as delay } from 'node:timers/promises';
import { kinds, startEngine } from '../../test/support/engine-process.mjs';
import { startParticipant } from '../../test/support/program.mjs';
import { usageOfTree } from '../process-tree.mjs';

const settleMs = 8_000;

async function joinsFor(bench, clients) {
  const joins = [];
  for (let pair = 0; pair * 2 < clients; pair++) {
    const room = bench.newRoom();
    for (const side of ['a', 'b']) joins.push(await bench.join(room, `client-${pair}${side}`));
  }
  return joins;
}

async function framesOf(programs) {
  const counts = await Promise.all(programs.map((program) => program.call('framesHeard', {}, 30_000)));
  return counts.reduce((sum, count) => sum + count, 0);
}

/** @param perProcess how many rooms each process is in */
async function measure(bench, kind, clients, perProcess, measureMs) {
  const { engine, env, pids, stop } = await startEngine(kind);
  const joins = await joinsFor(bench, clients);
  const peer = clients === 1 ? startParticipant('native') : undefined;
  const programs = [];
  try {
    if (peer) {
      await peer.call('connect', joins.pop());
      await peer.call('publishTone', { hz: 880 });
    }
    while (joins.length > 0) {
      const program = await bench.start(engine, env);
      programs.push(program);
      await program.call('openRooms', { joins: joins.splice(0, perProcess) }, 120_000);
    }
    await delay(settleMs);
    const roots = [...programs.map(({ pid }) => pid), ...pids];
    const before = { ...usageOfTree(roots), atMs: performance.now(), frames: await framesOf(programs) };
    await delay(measureMs);
    const after = { ...usageOfTree(roots), atMs: performance.now(), frames: await framesOf(programs) };
    const seconds = (after.atMs - before.atMs) / 1_000;
    return {
      processes: after.processes,
      rssMb: after.rssMb,
      pssMb: after.pssMb,
      cpuMsPerSecondAndRoom: ((after.cpuSeconds - before.cpuSeconds) / seconds / clients) * 1_000,
      framesHeardPerSecondAndRoom: (after.frames - before.frames) / seconds / clients,
    };
  } finally {
    await peer?.stop();
    await bench.stop(...programs);
    stop();
  }
}

const roomsMeasure = (name, title, clients, perProcess, chosen) => ({
  name,
  title,
  unit: 'processes',
  async run(bench, { measureMs }) {
    const result = {};
    for (const [index, kind] of chosen.entries()) {
      bench.progress(index, chosen.length, `${clients} rooms on ${kind}`);
      result[kind] = await measure(bench, kind, clients, perProcess, measureMs);
    }
    return result;
  },
});

export const pythonRooms = [
  ...[1, 10, 50].map((clients) =>
    roomsMeasure(
      `rooms-${clients}`,
      `One process in ${clients} ${clients === 1 ? 'room' : 'rooms'}`,
      clients,
      clients,
      ['native', 'own'],
    ),
  ),
  roomsMeasure('jobs-10', 'Ten processes in one room each', 10, 1, kinds),
];
