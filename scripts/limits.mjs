// Writes docs/limits.md from the tables of limits in src/.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { buildOrExit } from './build-or-exit.mjs';
import { markdownTable } from './markdown-table.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const mib = 1024 * 1024;

function describeValue({ value, unit }) {
  if (unit === 'bytes' && value >= mib && value % mib === 0) return `${value / mib} MiB`;
  if (unit === 'bytes' && value >= 1024 && value % 1024 === 0) return `${value / 1024} KiB`;
  const number = String(value).replace(/\B(?=(\d{3})+$)/g, ' ');
  return unit === 'count' ? number : `${number} ${unit}`;
}

function table(limits) {
  const rows = Object.entries(limits).map(([name, limit]) => [
    `\`${name}\``,
    describeValue(limit),
    limit.source,
    limit.effect,
  ]);
  return markdownTable(['Limit', 'Value', 'From', 'Beyond it'], rows);
}

/** docs/limits.md. */
export function limitsPage({ engine, server, sip }) {
  return `# Limits

Nothing that a peer or a program can make grow grows for ever. Each number has a source: LiveKit's default, an RFC, a measurement, or
"ours" where nobody else says. How long things may take is in [deadlines.md](deadlines.md).

This page is generated from the tables by \`node scripts/limits.mjs\`.

## Engine

\`src/limits.ts\`: what a server, another participant, or a program can make the engine do.

${table(engine)}

## Room server

\`src/server/limits.ts\`: what a client, a worker or a caller of the APIs can make \`offhook dev\` do.

${table(server)}

## SIP gateway

\`src/sip/limits.ts\`: what a telephone, a provider, a participant or a caller of the API can make the gateway do.

${table(sip)}
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  buildOrExit();
  const { limits: engine } = await import('../dist/docs/limits.js');
  const { limits: server } = await import('../dist/server/limits.js');
  const { limits: sip } = await import('../dist/sip/limits.js');
  writeFileSync(`${root}/docs/limits.md`, limitsPage({ engine, server, sip }));
}
