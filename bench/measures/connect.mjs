// Connect: from the call of room.connect to its return, in one process, against the same server.
import { interleave } from '../bench.mjs';
import { summarize } from '../statistics.mjs';

const warmUps = 2;

export const connect = {
  name: 'connect',
  title: 'Connect: call of connect to its return',
  unit: 'ms',
  async run(bench, { pairs }) {
    const programs = { native: await bench.start('native'), offhook: await bench.start('offhook') };
    const take = async (engine, n) =>
      programs[engine].call('connectOnce', await bench.join(bench.newRoom(), `client-${n}`));
    for (let n = 0; n < warmUps; n++) for (const engine of Object.keys(programs)) await take(engine, n);
    const values = await interleave(bench, pairs, take);
    await bench.stop(programs.native, programs.offhook);
    return { native: summarize(values.native), offhook: summarize(values.offhook) };
  },
};
