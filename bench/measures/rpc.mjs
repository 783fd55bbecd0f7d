// RPC round trip: a call and its answer of 100 bytes between two participants; the one that answers is on the native
// engine in both cases.
import { interleave } from '../bench.mjs';
import { median, summarize } from '../statistics.mjs';

const perTurn = 20;
const payload = 'x'.repeat(100);

export const rpc = {
  name: 'rpc',
  title: 'RPC round trip',
  unit: 'ms',
  async run(bench, { pairs }) {
    const room = bench.newRoom();
    const answering = await bench.start('native');
    await answering.call('join', await bench.join(room, 'answering'));
    const programs = { native: await bench.start('native'), offhook: await bench.start('offhook') };
    for (const [engine, program] of Object.entries(programs)) {
      await program.call('join', await bench.join(room, engine));
      await program.call('roundTrips', { to: 'answering', count: perTurn, payload });
    }
    const all = { native: [], offhook: [] };
    await interleave(bench, pairs, async (engine) => {
      const trips = await programs[engine].call('roundTrips', { to: 'answering', count: perTurn, payload });
      all[engine].push(...trips);
      return median(trips);
    });
    await bench.stop(answering, programs.native, programs.offhook);
    return { native: summarize(all.native), offhook: summarize(all.offhook) };
  },
};
