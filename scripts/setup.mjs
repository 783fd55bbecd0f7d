// Makes a fresh clone ready: installs the locked dependencies and builds, each only when it is out of date.
// With --all, also what tests and benches need beside them: see parts.mjs.
import { spawnSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { installParts, packagesCommand } from './parts.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';

function run(command, args) {
  const { status } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

const installed = `${root}/node_modules/.package-lock.json`;
const stale =
  !existsSync(installed) || statSync(installed).mtimeMs < statSync(`${root}/package-lock.json`).mtimeMs;
if (stale) {
  console.log('Installing the locked dependencies (npm ci) …');
  run(npm, ['ci', '--no-fund', '--no-audit', '--loglevel=error']);
}
if (!process.argv.includes('--install-only')) run(process.execPath, ['scripts/build.mjs']);
if (process.argv.includes('--all')) {
  installParts();
  const command = packagesCommand();
  console.log(command ? `What needs root: ${command}` : 'Everything that tests and benches need is here.');
}
