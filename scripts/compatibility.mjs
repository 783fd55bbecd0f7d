// Writes docs/compatibility.md from the tables of the FFI server.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { buildOrExit } from './build-or-exit.mjs';
import { markdownTable } from './markdown-table.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

function table(title, rows) {
  const cells = Object.entries(rows).map(([name, { status, note = '', test }]) => [
    `\`${name}\``,
    status,
    note,
    test ? `[${test}](../test/${test}.test.ts)` : '',
  ]);
  return markdownTable([title, 'Status', 'Notes', 'Shown by'], cells);
}

const count = (rows, status) => Object.values(rows).filter((row) => row.status === status).length;

/** docs/compatibility.md: what this engine does of the FFI protocol, request by request and event by event. */
export function compatibilityPage({ requestTable, laterRequestRows, eventTable, roomEventTable }) {
  const requests = { ...requestTable, ...laterRequestRows };
  const total = Object.keys(requests).length;
  return `# Compatibility with LiveKit's FFI protocol

\`@livekit/rtc-node\` 0.13 and 1.x, Python's \`livekit\`, and \`@livekit/agents\` and \`livekit-agents\` on top of them, speak this
protocol to their engine. Of its
${total} requests, ${count(requests, 'works')} work, ${count(requests, 'partly')} work in part, and ${count(requests, 'refused')} are refused with an error, for the reason in
their row. Requests, events and their content are compared with the native engine's in
[test/ffi/same-steps.test.ts](../test/ffi/same-steps.test.ts).

This page is generated from \`src/ffi/request-table.ts\` and \`src/ffi/event-table.ts\` by \`node scripts/compatibility.mjs\`.

## Requests

${table('Request', requests)}

## Events

${table('Event', eventTable)}

## Room events

${table('Room event', roomEventTable)}

## What differs on purpose

- A connect is not delayed by audio filter plugins: they load beside it, in processes of their own.
- A connect that fails says at which stage, with which host, and after how long.
- A program that does not send ReadyForRoomEvent within 15 s still gets its events; the native engine panics.
- A program that has no room open and awaits no callback may end by itself.
- A request that is answered by the id of its callback is not waited for in a Node program: what is wrong with it, an unknown handle
  for example, comes as the callback's error.
- While a program is blocked, the frames of a stream wait in the engine: \`queue_size_frames\` of them, or 30 s without that; beyond it
  the oldest are dropped, with a warning. The native engine hands all of them over at once and bounds nothing.
- A program that is blocked gets lossy data packets until 4 MiB of events wait for it; those after that are dropped, and counted in a
  warning. Chunks of streams that it reads with a reader wait there; readers hold 256 MiB for each room. Captures, reliable packets and
  room events are never dropped: once more than 256 MiB of events wait, the room is left with an error in the log and the reason
  \`AGENT_ERROR\`. The native engine hands over every event at once and bounds none of them.
- A source keeps up to 60 s of captures that the program did not wait for; the native engine refuses the second.
- A pointer that leads nowhere, or a handle that was dropped, is an error; it does not crash the process.
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  buildOrExit();
  const { requestTable } = await import('../dist/ffi/request-table.js');
  const { laterRequestRows } = await import('../dist/ffi/later-requests.js');
  const events = await import('../dist/ffi/event-table.js');
  writeFileSync(
    `${root}/docs/compatibility.md`,
    compatibilityPage({ requestTable, laterRequestRows, ...events }),
  );
}
