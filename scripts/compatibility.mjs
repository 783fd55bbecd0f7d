// Writes docs/compatibility.md from the tables of the FFI server.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
spawnSync(process.execPath, ['scripts/build.mjs'], { cwd: root, stdio: 'inherit' });
const { compatibilityPage } = await import('../dist/ffi/compatibility.js');
mkdirSync(`${root}/docs`, { recursive: true });
writeFileSync(`${root}/docs/compatibility.md`, compatibilityPage());
