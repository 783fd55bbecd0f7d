// npm run bench [-- --only connect,rpc] [--pairs 30] [--quick] [--snapshot]: offhook beside the native engine, in one run, against one
// livekit-server. Prints ratios, writes out/bench/bench.json and out/bench/bench.html. See README.md in this folder.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { startLivekitServer } from '../test/support/livekit-server.mjs';
import { Bench, clients } from './bench.mjs';
import { renderBenchPage } from './chart.mjs';
import { blockedFilter } from './measures/blocked-filter.mjs';
import { connect } from './measures/connect.mjs';
import { data } from './measures/data.mjs';
import { firstAudio } from './measures/first-audio.mjs';
import { jobStart } from './measures/job-start.mjs';
import { encryption, rooms } from './measures/rooms.mjs';
import { rpc } from './measures/rpc.mjs';
import { video } from './measures/video.mjs';
import { describePythonResult, pythonMeasures } from './python/index.mjs';
import { describeResult } from './report.mjs';
import { renderSnapshot } from './snapshot.mjs';

const nodeMeasures = [
  connect,
  jobStart,
  blockedFilter,
  firstAudio,
  rpc,
  ...data,
  ...rooms,
  encryption,
  ...video,
];
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const folder = fileURLToPath(new URL('../out/bench', import.meta.url));
const snapshotFolder = fileURLToPath(new URL('../docs/bench', import.meta.url));

const { values: args } = parseArgs({
  options: {
    only: { type: 'string' },
    pairs: { type: 'string', default: '30' },
    quick: { type: 'boolean', default: false },
    snapshot: { type: 'boolean', default: false },
    /** Python's `livekit` in place of `@livekit/rtc-node`. */
    python: { type: 'boolean', default: false },
  },
});
const sizes = args.quick
  ? {
      pairs: 3,
      dataPairs: 1,
      measureMs: 3_000,
      calls: 2,
      videoPairs: 1,
      videoMs: 3_000,
      videoSettleMs: 4_000,
    }
  : {
      pairs: Number(args.pairs),
      dataPairs: 5,
      measureMs: 20_000,
      calls: 20,
      videoPairs: 3,
      videoMs: 8_000,
      videoSettleMs: 20_000,
    };
const measures = args.python ? pythonMeasures : nodeMeasures;
const wanted = args.only?.split(',');
const chosen = measures.filter(({ name }) => !wanted || wanted.some((word) => name.startsWith(word)));

const machine = {
  cpu: cpus()[0].model.trim(),
  cores: cpus().length,
  memoryGb: Math.round(totalmem() / 2 ** 30),
  os: `${process.platform} ${process.arch}`,
  node: process.version,
};
const loadBefore = loadavg()[0];

const server = await startLivekitServer().catch((error) => {
  console.error(`npm run bench: ${error.message}`);
  process.exit(1);
});
process.once('SIGINT', () => server.stop().then(() => process.exit(130)));
const results = [];
console.log(`livekit-server at ${server.url}; ${machine.cores} × ${machine.cpu}, Node ${machine.node}`);
for (const [index, measure] of chosen.entries()) {
  const heading = `[${index + 1}/${chosen.length}] ${measure.title}`;
  const show = (line) => {
    if (process.stdout.isTTY) process.stdout.write(`\r\x1b[K${heading}: ${line}`);
  };
  if (!process.stdout.isTTY) console.log(heading);
  const bench = new Bench(server, show, args.python ? clients.python : clients.node);
  try {
    const result = await measure.run(bench, sizes);
    results.push({ name: measure.name, title: measure.title, unit: measure.unit, ...result });
  } catch (error) {
    results.push({ name: measure.name, title: measure.title, unit: measure.unit, failed: error.message });
  } finally {
    await bench.clear();
  }
  if (process.stdout.isTTY) process.stdout.write(`\r\x1b[K${heading}\n`);
  for (const line of (args.python ? describePythonResult : describeResult)(results.at(-1)))
    console.log(`    ${line}`);
}
await server.stop();

const report = {
  endedAt: new Date().toISOString(),
  version,
  machine: { ...machine, loadBefore, loadAfter: loadavg()[0] },
  sizes,
  results,
};
for (const target of args.snapshot ? [folder, snapshotFolder] : [folder]) {
  mkdirSync(target, { recursive: true });
  writeFileSync(`${target}/${args.python ? 'python' : 'bench'}.json`, `${JSON.stringify(report, null, 2)}\n`);
  if (!args.python) writeFileSync(`${target}/bench.html`, renderBenchPage(report));
}
if (args.snapshot && !args.python) writeFileSync(`${snapshotFolder}/README.md`, renderSnapshot(report));
if (!args.python) console.log(`\n${pathToFileURL(`${folder}/bench.html`)}`);
if (results.some(({ failed }) => failed)) process.exitCode = 1;
