// node bench/reconnects.mjs [count] [pairs]: full reconnects of participants on the native engine, with two peer connections each, on
// `offhook dev` and on livekit-server in one run: after how many of them a listener does not hear the speaker again.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { lostAfterReconnects } from '../test/support/full-reconnects.mjs';
import { startLivekitServer } from '../test/support/livekit-server.mjs';

const count = Number(process.argv[2] ?? 100);
const pairs = Number(process.argv[3] ?? 4);

const program = fileURLToPath(new URL('../test/support/room-server.mjs', import.meta.url));
const child = spawn(process.execPath, ['--expose-gc', program], { stdio: ['pipe', 'pipe', 'inherit'] });
const [line] = await once(createInterface({ input: child.stdout }), 'line');
const servers = {
  offhook: { url: JSON.parse(line).url, apiKey: 'devkey', apiSecret: 'secret' },
  'livekit-server': await startLivekitServer(),
};
for (const [name, server] of Object.entries(servers)) {
  const each = Array.from({ length: pairs }, (_, pair) =>
    lostAfterReconnects(server, `pair ${pair}`, Math.ceil(count / pairs)),
  );
  const lost = (await Promise.all(each)).flat();
  console.log(`${name}: ${lost.length} of ${pairs * Math.ceil(count / pairs)} lost`);
  for (const { who, events } of lost) console.log(`  ${who} reconnected:`, JSON.stringify(events));
}
await servers['livekit-server'].stop();
child.stdin.end();
