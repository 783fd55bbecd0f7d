// The built room server in a process of its own, for tests that attack it: prints its address as a line of JSON, and
// for each line on standard input what memory it uses after a garbage collection. Run with --expose-gc.
import { createInterface } from 'node:readline';
import { setLogSink } from '../../dist/logging/index.js';
import { startServer } from '../../dist/server/index.js';

const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

setLogSink(({ level, module, message }) => process.stderr.write(`${level} ${module}: ${message}\n`), 'warn');
const server = await startServer({ port: 0, ...JSON.parse(process.argv[2] ?? '{}') });
print({ url: server.url, rtcPort: server.rtcPort });
for await (const _line of createInterface({ input: process.stdin })) {
  // Twice: what a finalizer lets go of is collected by the second.
  globalThis.gc();
  await new Promise((resolve) => setImmediate(resolve));
  globalThis.gc();
  const { rss, heapUsed, external } = process.memoryUsage();
  print({ rss, heapUsed, external, usedBytes: heapUsed + external });
}
await server.close();
process.exit(0);
