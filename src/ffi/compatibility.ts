import { eventTable, roomEventTable } from './event-table.js';
import { laterRequestRows } from './later-requests.js';
import { requestTable } from './request-table.js';

interface Row {
  status: string;
  note?: string;
  test?: string;
}

/** A table with its columns aligned, as the formatter wants it. */
function markdownTable(title: string, rows: Readonly<Record<string, Row>>): string {
  const cells = [
    [title, 'Status', 'Notes', 'Shown by'],
    ...Object.entries(rows).map(([name, { status, note = '', test }]) => [
      `\`${name}\``,
      status,
      note,
      test ? `[${test}](../test/${test}.test.ts)` : '',
    ]),
  ];
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  const line = (row: string[]) => `| ${row.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`;
  const rule = line(widths.map((width) => '-'.repeat(width)));
  return [line(cells[0]!), rule, ...cells.slice(1).map(line)].join('\n');
}

const count = (rows: Readonly<Record<string, Row>>, status: string) =>
  Object.values(rows).filter((row) => row.status === status).length;

/** docs/compatibility.md: what this engine does of the FFI protocol, request by request and event by event. */
export function compatibilityPage(): string {
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

${markdownTable('Request', requests)}

## Events

${markdownTable('Event', eventTable)}

## Room events

${markdownTable('Room event', roomEventTable)}

## What differs on purpose

- A connect is not delayed by audio filter plugins: they load beside it, in processes of their own.
- A connect that fails says at which stage, with which host, and after how long.
- A program that does not send ReadyForRoomEvent within 15 s gets its events all the same; the native engine panics.
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
