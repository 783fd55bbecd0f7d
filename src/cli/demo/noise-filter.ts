import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

export interface NoiseFilter {
  /** Path of the shared library. */
  library: string;
  /** What it does to the agent, as a sentence. */
  behaviour: string;
}

/** The behaviour of a filter that the agent does not have. */
export const noFilter = 'there is none';

const compilers = ['cc', 'clang', 'gcc'];

/** A shared library that every process has loaded and that is no filter: the C library. */
function someSharedLibrary(): string | undefined {
  const { sharedObjects } = process.report.getReport() as { sharedObjects?: string[] };
  return sharedObjects?.find((path) => /libc[.-]|libSystem/.test(path));
}

/**
 * The filter that the agent of the demo loads: compiled from `source`, its `on_load` never returns. Without a C
 * compiler a library that is no filter at all takes its place, which is broken in another way.
 */
export function buildNoiseFilter(source: string, folder: string): NoiseFilter | undefined {
  mkdirSync(folder, { recursive: true });
  const library = join(folder, 'noise_filter.so');
  const compiler = compilers.find(
    (name) => spawnSync(name, ['-shared', '-fPIC', '-o', library, source], { stdio: 'ignore' }).status === 0,
  );
  if (compiler) return { library, behaviour: 'its on_load never returns' };
  const stand = someSharedLibrary();
  return stand === undefined
    ? undefined
    : {
        library: stand,
        behaviour: 'it lacks every function of a filter (no C compiler here to build one that blocks)',
      };
}
