// The first connect of a process: with offhook, what the engine takes to start is in it, unless one waits ready.

import { kinds, startEngine } from '../../test/support/engine-process.mjs';
import { summarize } from '../statistics.mjs';

export const coldConnect = {
  name: 'cold-connect',
  title: 'First connect of a process',
  unit: 'ms by kind',
  async run(bench, { pairs }) {
    const count = Math.max(3, Math.round(pairs / 3));
    const values = Object.fromEntries(kinds.map((kind) => [kind, []]));
    const running = Object.fromEntries(
      await Promise.all(kinds.map(async (kind) => [kind, await startEngine(kind)])),
    );
    for (let turn = 0; turn < count; turn++) {
      for (const kind of kinds) {
        const { engine, env } = running[kind];
        const program = await bench.start(engine, env);
        values[kind].push(
          await program.call('connectOnce', await bench.join(bench.newRoom(), 'client'), 60_000),
        );
        await bench.stop(program);
      }
      bench.progress(turn + 1, count);
    }
    for (const { stop } of Object.values(running)) stop();
    return Object.fromEntries(kinds.map((kind) => [kind, summarize(values[kind])]));
  },
};
