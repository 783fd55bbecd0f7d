// Compiles src/ to dist/ and bundles the engine. Skipped when nothing in src/ is newer than the last build.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
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
const tsc = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json'], {
  cwd: root,
  stdio: 'inherit',
});
if (tsc.status !== 0) process.exit(tsc.status ?? 1);
// Plain CommonJS, which tsc does not copy: the native entry that rtc-ffi-bindings require()s.
cpSync(`${root}/src`, `${root}/dist`, {
  recursive: true,
  filter: (path) => statSync(path).isDirectory() || path.endsWith('.cjs'),
});
await bundleEngine();
writeFileSync(stamp, '');
