// Compiles src/ to dist/ and bundles the engine. Skipped when nothing in src/ is newer than the last build.
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { bundleEngine } from './bundle-engine.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const stamp = `${root}/dist/.built`;

function newestMtimeMs(path) {
  const stats = statSync(path);
  if (!stats.isDirectory()) return stats.mtimeMs;
  return Math.max(stats.mtimeMs, ...readdirSync(path).map((name) => newestMtimeMs(`${path}/${name}`)));
}

const builtMs = existsSync(stamp) ? statSync(stamp).mtimeMs : 0;
const sources = [
  `${root}/src`,
  `${root}/scripts/bundle-engine.mjs`,
  `${root}/scripts/protocol-messages.mjs`,
  `${root}/tsconfig.json`,
  `${root}/package.json`,
];
if (sources.every((path) => newestMtimeMs(path) < builtMs)) process.exit(0);

rmSync(`${root}/dist`, { recursive: true, force: true });
/** Compiles with more options than those of tsconfig.json. */
function compile(...options) {
  const tsc = ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json', ...options];
  const { status } = spawnSync(process.execPath, tsc, { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

// Comments belong into the declarations, where editors show them, and would be a fifth of the package in the code.
compile('--removeComments', '--declaration', 'false', '--declarationMap', 'false');
compile('--emitDeclarationOnly');
// Plain CommonJS, which tsc does not copy: the native entry that rtc-ffi-bindings require()s.
cpSync(`${root}/src`, `${root}/dist`, {
  recursive: true,
  filter: (path) => statSync(path).isDirectory() || path.endsWith('.cjs'),
});
await bundleEngine();
// For `npx offhook` in the clone; npm does the same where it installs the package.
chmodSync(`${root}/dist/cli/main.js`, 0o755);
writeFileSync(stamp, '');
