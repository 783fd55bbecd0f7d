// Throughput of reliable data packets of 8 KiB, as fast as the engine takes them, to (or from) a participant on the
// native engine.
import { interleave } from '../bench.mjs';
import { summarize } from '../statistics.mjs';

const bytes = 8_192;
const count = 500;
const timeoutMs = 60_000;

/** Megabytes per second from `sender` to `receiver`. */
async function throughput(sender, receiver) {
  // Before the first packet is sent: the two programs read their commands at different times.
  await receiver.call('countPackets', { count });
  const startedAtMs = await sender.call('flood', { count, bytes }, timeoutMs);
  const endedAtMs = await receiver.call('lastPacket', {}, timeoutMs);
  return (count * bytes) / 1e6 / ((endedAtMs - startedAtMs) / 1_000);
}

async function withPair(bench, engine, work) {
  const room = bench.newRoom();
  const measured = await bench.start(engine);
  const other = await bench.start('native');
  await measured.call('join', await bench.join(room, 'measured'));
  await other.call('join', await bench.join(room, 'other'));
  // An answer from each to the other: the data channels are up both ways before the clock starts.
  await measured.call('roundTrips', { to: 'other', count: 1, payload: '' });
  await other.call('roundTrips', { to: 'measured', count: 1, payload: '' });
  const value = await work(measured, other);
  await bench.stop(measured, other);
  return value;
}

function dataMeasure(name, title, between) {
  return {
    name,
    title,
    unit: 'MB/s',
    higherIsBetter: true,
    async run(bench, { dataPairs }) {
      const values = await interleave(bench, dataPairs, (engine) =>
        withPair(bench, engine, (measured, other) => between(measured, other)),
      );
      return { native: summarize(values.native), offhook: summarize(values.offhook) };
    },
  };
}

export const data = [
  dataMeasure('data-out', 'Reliable data, sent', (measured, other) => throughput(measured, other)),
  dataMeasure('data-in', 'Reliable data, received', (measured, other) => throughput(other, measured)),
];
