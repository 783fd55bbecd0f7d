// First audio out: from the call of room.connect to the first audible frame at another participant, which is on the
// native engine in both cases. The speaker publishes as soon as connect returns.
import { startParticipant } from '../../test/support/program.mjs';
import { interleave } from '../bench.mjs';
import { summarize } from '../statistics.mjs';

export const firstAudio = {
  name: 'first-audio',
  title: 'First audio out: call of connect to the first audible frame at a listener',
  unit: 'ms',
  async run(bench, { pairs }) {
    const room = bench.newRoom();
    const listener = startParticipant('native');
    const programs = { native: await bench.start('native'), offhook: await bench.start('offhook') };
    try {
      await listener.call('connect', await bench.join(room, 'listener'));
      const take = async (engine, n) => {
        const identity = `${engine}-${n}`;
        const startedAtMs = await programs[engine].call('joinAndSpeak', await bench.join(room, identity));
        const { atMs } = await listener.waitFor('firstAudible', { identity });
        await programs[engine].call('leave');
        await listener.waitFor('participantDisconnected', { identity });
        return atMs - startedAtMs;
      };
      for (const engine of Object.keys(programs)) await take(engine, 'warm-up');
      const values = await interleave(bench, pairs, take);
      return { native: summarize(values.native), offhook: summarize(values.offhook) };
    } finally {
      await bench.stop(programs.native, programs.offhook);
      await listener.stop();
    }
  },
};
