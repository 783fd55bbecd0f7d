// npm test [-- words]: sets up, then runs the tests whose path contains one of the words (all without any).
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
for (const args of [
  ['scripts/setup.mjs'],
  ['node_modules/vitest/vitest.mjs', 'run', ...process.argv.slice(2)],
]) {
  const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
