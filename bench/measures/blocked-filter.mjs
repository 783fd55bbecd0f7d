// Connect while a noise filter of the program never returns from its on_load. On the native engine connect does not
// return either, so it is tried once, for as long as `patienceMs`.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { summarize } from '../statistics.mjs';

const source = fileURLToPath(new URL('../../examples/noise-filter/noise_filter.c', import.meta.url));
const patienceMs = 20_000;

function compile(folder) {
  const library = join(folder, 'noise_filter.so');
  const { status } = spawnSync('cc', ['-shared', '-fPIC', '-o', library, source], { stdio: 'inherit' });
  if (status !== 0) throw new Error('needs a C compiler (cc) to build the filter');
  return library;
}

export const blockedFilter = {
  name: 'connect-blocked-filter',
  title: 'Connect beside a filter that blocks for ever',
  unit: 'ms',
  async run(bench, { pairs }) {
    const folder = mkdtempSync(join(tmpdir(), 'offhook-bench-'));
    try {
      const env = {
        NOISE_FILTER_LIBRARY: compile(folder),
        NOISE_FILTER_ON_LOAD: 'block',
        OFFHOOK_FILTER_ENV: 'NOISE_FILTER_ON_LOAD',
      };
      const plain = await bench.start('offhook');
      const blocked = await bench.start('offhook', env);
      const values = { plain: [], blocked: [] };
      for (let pair = 0; pair < pairs; pair++) {
        const programs = Object.entries({ plain, blocked });
        for (const [kind, program] of pair % 2 === 0 ? programs : programs.reverse()) {
          values[kind].push(await program.call('connectOnce', await bench.join(bench.newRoom(), 'client')));
        }
        bench.progress(pair + 1, pairs, `offhook ${values.blocked.at(-1).toFixed(1)}`);
      }
      await bench.stop(plain, blocked);

      const native = await bench.start('native', env);
      const returned = await native
        .call('connectOnce', await bench.join(bench.newRoom(), 'client'), patienceMs)
        .catch(() => undefined);
      await bench.stop(native);
      return {
        native: returned === undefined ? { notWithinMs: patienceMs } : summarize([returned]),
        offhook: summarize(values.blocked),
        offhookWithoutFilter: summarize(values.plain),
      };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
