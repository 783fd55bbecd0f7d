// npm run bench:micro [-- --check | --record]: the cost of what a process does most often, each as a ratio to a reference
// loop in the same run. `--check` fails where one costs 30 % more than recorded.json says; `--record` writes that file.
import { readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { maxBatch, measures, reference } from './measures.mjs';

const recordedPath = new URL('recorded.json', import.meta.url);
const rounds = 20;
const batchMs = 40;
const allowed = 1.3;
/** One that seems slower is measured again as often as this. */
const retries = 3;

const { values: args } = parseArgs({
  options: { check: { type: 'boolean', default: false }, record: { type: 'boolean', default: false } },
});

/** Microseconds of CPU, of all threads of the process, that `count` times of `prepared` take. */
async function cpuOf({ once, before, after, times = 1 }, asynchronous, count) {
  before?.();
  const start = process.cpuUsage();
  for (let i = 0; i < count; i += times) {
    if (asynchronous) await once();
    else once();
  }
  await after?.();
  const { user, system } = process.cpuUsage(start);
  return user + system;
}

/** As many times as take about `batchMs`. */
async function batchSize(prepared, asynchronous) {
  let count = 50;
  while (count < maxBatch) {
    if ((await cpuOf(prepared, asynchronous, count)) > batchMs * 1_000) break;
    count *= 2;
  }
  return Math.min(count, maxBatch);
}

/**
 * What `measure` and the reference take at best, batch beside batch: what else the machine does only ever adds.
 *
 * @returns {Promise<{ ratio: number, us: number }>} of one to the other, and microseconds of CPU
 */
async function measureOnce(measure) {
  const [it, base] = [measure.prepare(), reference.prepare()];
  const counts = { it: await batchSize(it, measure.asynchronous), base: await batchSize(base, false) };
  let [itUs, baseUs] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let round = 0; round < rounds; round++) {
    baseUs = Math.min(baseUs, (await cpuOf(base, false, counts.base)) / counts.base);
    itUs = Math.min(itUs, (await cpuOf(it, measure.asynchronous, counts.it)) / counts.it);
  }
  await it.end?.();
  return { ratio: itUs / baseUs, us: itUs };
}

const recorded = args.record ? {} : JSON.parse(readFileSync(recordedPath, 'utf8'));
const ratios = {};
const slower = [];
for (const measure of measures) {
  const { name, title } = measure;
  const limit = recorded[name] * allowed;
  let best = await measureOnce(measure);
  for (let retry = 0; args.check && best.ratio > limit && retry < retries; retry++) {
    const again = await measureOnce(measure);
    if (again.ratio < best.ratio) best = again;
  }
  ratios[name] = Number(best.ratio.toPrecision(3));
  const was = recorded[name] === undefined ? '' : `, recorded ${recorded[name].toFixed(2)}`;
  console.log(
    `${title}: ${best.us.toFixed(1)} us of CPU, ${best.ratio.toFixed(2)} times the reference${was}`,
  );
  if (args.check && !(best.ratio <= limit)) slower.push(name);
}
if (args.record) writeFileSync(recordedPath, `${JSON.stringify(ratios, null, 2)}\n`);
if (slower.length > 0) {
  console.error(`more than ${Math.round((allowed - 1) * 100)} % slower than recorded: ${slower.join(', ')}`);
}
process.exit(slower.length > 0 ? 1 : 0);
