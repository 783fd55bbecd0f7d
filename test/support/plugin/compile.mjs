import { spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const source = fileURLToPath(new URL('./gain.c', import.meta.url));

/**
 * Compiles the test plugin; gain.c says how its behaviour is set.
 * @param {...('WITH_V2' | 'LACK_CREATE' | 'LACK_UPDATE_STREAM_INFO')} variants
 * @returns {string} the path of the library, in a directory of its own
 */
export function compilePlugin(...variants) {
  const library = join(mkdtempSync(join(tmpdir(), 'offhook-plugin-')), 'libgain.so');
  const defines = variants.map((name) => `-D${name}`);
  const args = ['-shared', '-fPIC', '-O1', ...defines, '-o', library, source, '-lm'];
  const { status, stderr } = spawnSync('cc', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`cc failed on gain.c: ${stderr}`);
  return library;
}
