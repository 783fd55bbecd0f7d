// One target in a process of its own: `node --import instrument.mjs loop.mjs TARGET SECONDS SEED FOLDER [INPUT]`.
// Each input stands in FOLDER/current before it runs, so that the parent has it whatever it does to this process.
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { getHeapStatistics } from 'node:v8';
import { mutate } from './mutate.mjs';
import { Random } from './random.mjs';
import { findingExitCode, limits } from './target.mjs';

const [name, seconds, seed, folder, inputPath] = process.argv.slice(2);
const { default: target } = await import(`../targets/${name}.mjs`);
const maxBytes = target.maxBytes ?? limits.inputBytes;
const random = new Random(Number(seed));
const { counters, literals } = globalThis.offhookFuzz ?? { counters: new Uint8Array(4), literals: new Set() };
const current = openSync(`${folder}/current`, 'w');
const header = Buffer.alloc(8);
let executions = 0;

function wordsOf(values) {
  return [...values].flatMap((value) => {
    if (typeof value === 'string') return [Buffer.from(value)];
    if (!Number.isInteger(value) || value > 0xffff_ffff) return [];
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return [bytes.subarray(value <= 0xff ? 3 : value <= 0xffff ? 2 : 0)];
  });
}

/** The input of this moment is a finding: the parent saves it. */
function finding(kind, error) {
  const text = error instanceof Error ? error.stack : String(error);
  writeSync(1, `${JSON.stringify({ finding: kind, text })}\n`);
  process.exit(findingExitCode);
}

process.on('uncaughtException', (error) => finding('crash', error));
process.on('unhandledRejection', (error) => finding('crash', error));

function usedBytes() {
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics();
  return heap + external;
}

/** Runs an input within its limits. */
async function execute(input) {
  executions += 1;
  header.writeUInt32LE(executions, 0);
  header.writeUInt32LE(input.length, 4);
  writeSync(current, Buffer.concat([header, input]), 0, header.length + input.length, 0);
  const bytesBefore = usedBytes();
  const cpuBefore = process.cpuUsage();
  const startedMs = performance.now();
  try {
    const running = target.run(input);
    if (running !== undefined) await running;
  } catch (error) {
    finding('crash', error);
  }
  const elapsedMs = performance.now() - startedMs;
  if (elapsedMs > limits.inputMs) {
    const { user, system } = process.cpuUsage(cpuBefore);
    // A machine that was busy with something else is no finding.
    if ((user + system) / 1000 > limits.inputMs / 2) finding('slow', `${Math.round(elapsedMs)} ms`);
  }
  const grownBytes = usedBytes() - bytesBefore;
  const limit = target.maxGrowthBytes ?? limits.growthBytes;
  if (grownBytes > limit) finding('memory', `${input.length} bytes allocate ${grownBytes} bytes`);
}

/** Which blocks have run how often, in powers of two. */
const seen = new Uint8Array(counters.length);
const words32 = new Uint32Array(counters.buffer);
let blocks = 0;

/** Whether the last input has shown something new. */
function isNew() {
  let fresh = false;
  for (let word = 0; word < words32.length; word++) {
    if (words32[word] === 0) continue;
    for (let i = word * 4; i < word * 4 + 4; i++) {
      const count = counters[i];
      if (count === 0) continue;
      const bucket = 1 << (31 - Math.clz32(count));
      if (seen[i] & bucket) continue;
      if (seen[i] === 0) blocks += 1;
      seen[i] |= bucket;
      fresh = true;
    }
  }
  return fresh;
}

async function tryOut(input) {
  counters.fill(0);
  await execute(input);
  return isNew();
}

function readInputs(path) {
  if (!existsSync(path)) return [];
  return readdirSync(path)
    .sort()
    .map((file) => readFileSync(`${path}/${file}`));
}

if (inputPath !== undefined) {
  await target.setUp?.();
  await execute(readFileSync(inputPath));
  await target.tearDown?.();
  process.exit(0);
}

const kept = `${folder}/corpus`;
mkdirSync(kept, { recursive: true });
await target.setUp?.();
const corpus = [];
const seeds = [
  ...readInputs(new URL(`../corpus/${name}`, import.meta.url).pathname),
  ...readInputs(kept),
  ...(target.seeds?.() ?? []),
  Buffer.alloc(0),
];
for (const input of seeds) if (await tryOut(input.subarray(0, maxBytes))) corpus.push(input);
if (corpus.length === 0) corpus.push(Buffer.alloc(1));

const context = { random, maxBytes, others: corpus, words: wordsOf([...literals, ...(target.words ?? [])]) };
const startMs = performance.now();
const endMs = startMs + Number(seconds) * 1000;
/** Until then, caches that have a bound fill: what they hold is not left behind by an input. */
const warmMs = startMs + (Number(seconds) * 1000) / 3;
let bytesWhenWarm;

/** Bytes in use, with the garbage collected. What is outside of the heap is given back by finalizers, in turns of their own. */
async function keptBytesNow() {
  for (let collections = 0; collections < 4; collections++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  globalThis.gc?.();
  return usedBytes() - corpus.reduce((sum, input) => sum + input.length, 0);
}

/** The newest inputs have been looked at least. */
const choose = () =>
  random.once(2) ? corpus[corpus.length - 1 - random.below(Math.min(8, corpus.length))] : random.pick(corpus);
let sinceTurn = 0;
while (performance.now() < endMs) {
  if (bytesWhenWarm === undefined && performance.now() >= warmMs) bytesWhenWarm = await keptBytesNow();
  const input = choose();
  const structured = target.mutate && !random.once(8);
  const changed = structured ? target.mutate(input, context) : mutate(input, context);
  if (await tryOut(changed)) {
    corpus.push(changed);
    const hash = createHash('sha256').update(changed).digest('hex').slice(0, 16);
    writeFileSync(`${kept}/${hash}`, changed);
  }
  sinceTurn += 1;
  // Timers and rejections of what was run have their turn.
  if (sinceTurn % 256 === 0) await new Promise(setImmediate);
}
await target.tearDown?.();
const bytesAtEnd = await keptBytesNow();
const keptBytes = bytesAtEnd - (bytesWhenWarm ?? bytesAtEnd);
if (keptBytes > limits.keptBytes) finding('leak', `${executions} inputs leave ${keptBytes} bytes behind`);
writeSync(1, `${JSON.stringify({ executions, blocks, corpus: corpus.length, keptBytes })}\n`);
process.exit(0);
