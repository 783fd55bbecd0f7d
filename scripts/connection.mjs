// Writes docs/connection.md from the table of a room's connection.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const { status } = spawnSync(process.execPath, ['scripts/build.mjs'], { cwd: root, stdio: 'inherit' });
if (status !== 0) process.exit(status ?? 1);
const { connectionPage } = await import('../dist/room/connection/connection-page.js');

writeFileSync(`${root}/docs/connection.md`, connectionPage());
