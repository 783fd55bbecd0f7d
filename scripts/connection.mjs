// Writes docs/connection.md from the table of a room's connection.
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { buildOrExit } from './build-or-exit.mjs';
import { markdownTable } from './markdown-table.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const states = ['disconnected', 'connecting', 'connected', 'resuming', 'reconnecting'];

const introduction = `# How a room connects, and comes back

A room's connection is a state machine, and this page is written from the table that the engine runs
(\`src/room/connection/connection-table.ts\`; \`node scripts/connection.mjs\` rewrites it).

\`connect\` returns at the JoinResponse: ICE, DTLS and the data channels come up beside it, and what needs them waits for
them. With \`waitFor: 'media'\` it returns when they are up.

- **Resuming** keeps the session. A new signal connection replaces the one that was lost, SyncState tells the
  server what we have, ICE restarts on every peer connection, and reliable packets that the server did not get are sent
  again by their sequence numbers. The program's tracks, streams and participants stay.
- **Reconnecting** begins a new session, when the server does not know the old one or asks for a new one, or a peer
  connection failed. Local tracks are published again under the publications that the program holds (\`localTrackRepublished\`).
  Remote participants who stayed remain the same objects; events report who left or came meanwhile. A remote track that
  is still there continues in the streams that are open on it.
- Attempts begin at once, then after an exponential back-off with jitter (150 ms doubling up to 3 s, each drawn between 0
  and that), 20 of them by default (\`maxReconnectAttempts\`). Reconnecting begins at once where resuming has found that
  the session is gone. The first attempts have short deadlines: one that hangs, on the old network or on a server that waits
  for a dead node of its cluster, soon gives way to the next. If the server has refreshed the token, the new one is used.
- What is sent meanwhile waits: data packets in order, publishes until their deadline. After reconnecting, reliable
  packets wait up to 2 s for those who were there before: when a server goes away everyone is disconnected, and a room
  forwards nothing to participants who are not back yet. What was under way when the old session ended may be lost: whether
  it arrived is not known, and a new session restarts the numbers of packets, so sending it again could deliver it twice.
  What is sent after the loss was noticed is not lost. The loss is noticed at once where the server or its host ends the
  connection, and after 1.5 s of silence otherwise.
- When it is over, \`disconnected\` says why: its \`message\` names the stage that failed last.
`;

/** docs/connection.md: the state machine of a room's connection, drawn and listed. */
export function connectionPage({ connectionActions, connectionInputs, connectionTable }) {
  return [
    introduction,
    drawing(connectionTable),
    transitions(connectionTable),
    meanings('Inputs', connectionInputs),
    meanings('Actions', connectionActions),
  ].join('\n');
}

function drawing(table) {
  const lines = table
    .filter(({ from, to }) => from !== to)
    .map(({ from, to, on }) => `  ${from} --> ${to}: ${on}`);
  return ['```mermaid', 'stateDiagram-v2', '  [*] --> disconnected', ...lines, '```', ''].join('\n');
}

function transitions(table) {
  const rows = states.flatMap((state) =>
    table
      .filter(({ from }) => from === state)
      .map(({ from, on, to, actions }) => [from, on, to, actions.join(', ')]),
  );
  return [
    '## Transitions',
    '',
    'An input that has no row in a state changes nothing there.',
    '',
    markdownTable(['state', 'input', 'next state', 'actions, in order'], rows),
    '',
  ].join('\n');
}

function meanings(title, words) {
  return [`## ${title}`, '', markdownTable(['name', 'meaning'], Object.entries(words)), ''].join('\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  buildOrExit();
  const tables = await import('../dist/room/connection/connection-table.js');
  writeFileSync(`${root}/docs/connection.md`, connectionPage(tables));
}
