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
import { withoutRanges } from './shorten.mjs';
import { findingExitCode, limits } from './target.mjs';

const [name, seconds, seed, folder, inputPath] = process.argv.slice(2);
const { default: target } = await import(`../targets/${name}.mjs`);
const maxBytes = target.maxBytes ?? limits.inputBytes;
const random = new Random(Number(seed));
const { counters, literals } = globalThis.offhookFuzz ?? { counters: new Uint8Array(4), literals: new Set() };
const current = openSync(`${folder}/current`, 'w');
const header = Buffer.alloc(8);
/** How many shorter inputs are tried for one that is kept. */
const maxShortenings = 32;
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
  const cpuBefore = recentCpuUsage();
  const elapsedMs = await run(input);
  if (elapsedMs > limits.inputMs) {
    const { user, system } = process.cpuUsage(cpuBefore);
    // A machine that was busy with something else is no finding.
    if ((user + system) / 1000 > limits.inputMs / 2) finding('slow', `${Math.round(elapsedMs)} ms`);
  }
  const grownBytes = usedBytes() - bytesBefore;
  const limit = target.maxGrowthBytes ?? limits.growthBytes;
  if (grownBytes > limit) finding('memory', `${input.length} bytes allocate ${grownBytes} bytes`);
  return elapsedMs;
}

/** How old the figure of the CPU time may be: asking for it takes longer than most inputs. */
const cpuUsageEveryMs = 50;
let cpuUsage = process.cpuUsage();
let cpuUsageAtMs = performance.now();

function recentCpuUsage() {
  const nowMs = performance.now();
  if (nowMs - cpuUsageAtMs > cpuUsageEveryMs) {
    cpuUsage = process.cpuUsage();
    cpuUsageAtMs = nowMs;
  }
  return cpuUsage;
}

/** How long the target takes for `input`. */
async function run(input) {
  const startedMs = performance.now();
  try {
    const running = target.run(input);
    if (running !== undefined) await running;
  } catch (error) {
    finding('crash', error);
  }
  return performance.now() - startedMs;
}

/** Which blocks have run how often, in powers of two. */
const seen = new Uint8Array(counters.length);
const words32 = new Uint32Array(counters.buffer);
let blocks = 0;

const bucketOf = (count) => 1 << (31 - Math.clz32(count));

/** What the last input has shown first: counters, each with its power of two. Not marked as seen. */
function freshCounts() {
  const fresh = [];
  for (let word = 0; word < words32.length; word++) {
    if (words32[word] === 0) continue;
    for (let i = word * 4; i < word * 4 + 4; i++) {
      const count = counters[i];
      if (count === 0) continue;
      const bucket = bucketOf(count);
      if ((seen[i] & bucket) === 0) fresh.push([i, bucket]);
    }
  }
  return fresh;
}

/** Runs an input, and keeps what is left of it without the parts that do not matter when it shows something new. */
async function tryOut(input, shorten = true) {
  counters.fill(0);
  const first = { input, costMs: await execute(input) };
  const fresh = freshCounts();
  if (fresh.length === 0) return undefined;
  const kept = shorten ? await shortened(first, fresh) : first;
  for (const [i, bucket] of fresh) {
    if (seen[i] === 0) blocks += 1;
    seen[i] |= bucket;
  }
  return kept;
}

/** The shortest that was found of the inputs with the same `fresh` counts: long ones cost each of their descendants. */
async function shortened(entry, fresh) {
  let kept = entry;
  let tries = maxShortenings;
  const same = () => fresh.every(([i, bucket]) => counters[i] > 0 && bucketOf(counters[i]) === bucket);
  for (let found = true; found && tries > 0; ) {
    found = false;
    for (const shorter of (target.shorten ?? withoutRanges)(kept.input)) {
      if (tries-- <= 0) break;
      counters.fill(0);
      const costMs = await execute(shorter);
      if (!same()) continue;
      kept = { input: shorter, costMs };
      found = true;
      break;
    }
  }
  return kept;
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
/** The inputs of `corpus` alone: mutations take pieces from them. */
const others = [];
function keep(entry) {
  corpus.push(entry);
  others.push(entry.input);
}
for (const seed of seeds) {
  // Not shortened: they were when they were kept.
  const entry = await tryOut(seed.subarray(0, maxBytes), false);
  if (entry) keep(entry);
}
if (corpus.length === 0) keep({ input: Buffer.alloc(1), costMs: 0 });

if (seconds === 'merge') {
  // Which of the inputs of a list reach blocks that the seeds, and the inputs before them, do not. How often does not count here.
  const adds = [];
  const inputs = JSON.parse(readFileSync(`${folder}/inputs.json`, 'utf8'));
  for (const [at, input] of inputs.entries()) {
    counters.fill(0);
    await execute(Buffer.from(input, 'base64').subarray(0, maxBytes));
    const blocksBefore = blocks;
    for (const [i, bucket] of freshCounts()) {
      if (seen[i] === 0) blocks += 1;
      seen[i] |= bucket;
    }
    if (blocks > blocksBefore) adds.push(at);
  }
  writeSync(1, `${JSON.stringify({ adds })}\n`);
  process.exit(0);
}

const context = { random, maxBytes, others, words: wordsOf([...literals, ...(target.words ?? [])]) };
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
  return usedBytes() - others.reduce((sum, input) => sum + input.length, 0);
}

/**
 * The newest inputs have been looked at least. Of four, mostly the one that costs least: what an input costs, each of its
 * descendants costs too.
 */
function choose() {
  const newest = corpus[corpus.length - 1 - random.below(Math.min(8, corpus.length))];
  if (random.once(16)) return random.pick(corpus).input;
  let cheapest = newest;
  for (let draws = 0; draws < 3; draws++) {
    const other = random.pick(corpus);
    if (other.costMs < cheapest.costMs) cheapest = other;
  }
  return cheapest.input;
}
let sinceTurn = 0;
while (performance.now() < endMs) {
  if (bytesWhenWarm === undefined && performance.now() >= warmMs) bytesWhenWarm = await keptBytesNow();
  const input = choose();
  const structured = target.mutate && !random.once(8);
  const changed = structured ? target.mutate(input, context) : mutate(input, context);
  const entry = await tryOut(changed);
  if (entry) {
    keep(entry);
    const hash = createHash('sha256').update(entry.input).digest('hex').slice(0, 16);
    writeFileSync(`${kept}/${hash}`, entry.input);
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
