// The fault bench: fault × engine, measured on a network of its own. Use:
//   npm run bench:faults -- [--engine native|offhook] [--only ID,ID] [--out FOLDER] [--repeat N] [--verbose] [--docs]
// Writes faults.json, faults.md and faults.svg to the folder (default: out), with --docs the last two to docs/ too.
// Needs root, iproute2, nftables, a C compiler and livekit-server.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { findLivekitServer } from '../../test/support/livekit-server.mjs';
import { CallerProcess } from './caller-process.mjs';
import { addresses, FaultNetwork, missingForNetworks } from './network.mjs';
import { renderChart, renderTable } from './report.mjs';
import { scenarios, urlOf } from './scenarios.mjs';
import { ports, startNameServer, startRooms, tokenFor } from './servers.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const defaultGiveUpMs = 60_000;
const heardWithinMs = 30_000;
const recoveredWithinMs = 60_000;
const dataWithinMs = 20_000;
/** Long enough in a call for the engines' adaptive parts to settle, and for packets to be counted. */
const settleMs = 2_000;
const logLines = 4;

const is = (what) => (event) => event.what === what;

function buildPlugin(folder) {
  const library = join(folder, 'blocking-plugin.so');
  execFileSync('cc', [
    '-shared',
    '-fPIC',
    '-O1',
    '-o',
    library,
    join(root, 'bench/faults/blocking-plugin.c'),
  ]);
  return library;
}

/** Log lines that say something went wrong, without their time, each once. */
function tellingLines(log) {
  const telling = log.filter(
    (line) => /warn|error|fail|timed? ?out|deadline/i.test(line) && !/MaxListeners|trace-warnings/.test(line),
  );
  return [
    ...new Set(
      telling.map((line) =>
        line
          .replace(/^\d{4}-\S+Z /, '')
          .trim()
          .slice(0, 300),
      ),
    ),
  ].slice(0, logLines);
}

/** @param {import('./scenarios.mjs').Scenario} scenario */
async function measureConnect(scenario, caller, callee) {
  const giveUpMs = scenario.giveUpMs ?? defaultGiveUpMs;
  const end = await caller.waitFor(
    ({ what }) => ['connected', 'failed', 'gave-up', 'ended'].includes(what),
    giveUpMs + 10_000,
  );
  const result = { outcome: end?.what ?? 'hung', connectMs: end?.atMs, error: end?.error };
  if (end?.what !== 'connected' || !scenario.audible) return result;
  const calls = caller.events[0]?.wallMs - caller.events[0]?.atMs;
  const [hears, heard] = await Promise.all([
    caller.waitFor(is('hears'), heardWithinMs),
    callee.waitFor(is('hears'), heardWithinMs),
  ]);
  return {
    ...result,
    hearsMs: hears && hears.wallMs - calls,
    heardMs: heard && heard.wallMs - calls,
  };
}

/**
 * How much of what was sent came in, once, in order. What left before the receiver was there does not count, and what
 * left in the last moment may still be under way.
 */
function compare(sender, receiver) {
  const distinct = new Set(receiver.received);
  const inOrder = receiver.received.every((value, index, all) => index === 0 || value > all[index - 1]);
  const due = Math.max(0, sender.sent - 10);
  let lost = 0;
  for (let value = receiver.received[0] ?? 0; value < due; value++) if (!distinct.has(value)) lost += 1;
  return { lost, doubled: receiver.received.length - distinct.size, inOrder };
}

/** Counts packets both ways, again and again until none is missing or the time is up. `afterMs` is when that was. */
async function countPackets(caller, callee, sinceMs) {
  const untilMs = Date.now() + dataWithinMs;
  for (;;) {
    const [mine, theirs] = [await caller.report(), await callee.report()];
    if (!mine || !theirs) return undefined;
    const counted = {
      outgoing: compare(mine, theirs),
      incoming: compare(theirs, mine),
      afterMs: Date.now() - sinceMs,
    };
    if (counted.outgoing.lost + counted.incoming.lost === 0 || Date.now() > untilMs) return counted;
    await sleep(500);
  }
}

/** When both ends hear again for good after `sinceMs` (wall clock), in ms; undefined when they do not. */
async function recovery(ends, sinceMs) {
  const untilMs = Date.now() + recoveredWithinMs;
  let stableSinceMs;
  while (Date.now() < untilMs) {
    if (!ends.every((end) => end.hears)) stableSinceMs = undefined;
    else stableSinceMs ??= Date.now();
    if (stableSinceMs !== undefined && Date.now() - stableSinceMs > settleMs) {
      const lastHeard = ends.map((end) => end.events.findLast(is('hears')).wallMs);
      return Math.max(0, Math.max(...lastHeard) - sinceMs);
    }
    await sleep(50);
  }
  return undefined;
}

/** The longest time since `sinceMs` (wall clock) in which an end heard nothing, in ms. */
function longestSilence({ events }, sinceMs) {
  let longestMs = 0;
  for (const [index, event] of events.entries()) {
    if (event.what !== 'silence' || event.wallMs < sinceMs) continue;
    const startMs = event.wallMs - event.atMs + event.sinceMs;
    const heard = events.slice(index).find(is('hears'));
    longestMs = Math.max(longestMs, (heard?.wallMs ?? Date.now()) - startMs);
  }
  return longestMs;
}

/** @param {import('./scenarios.mjs').Scenario} scenario */
async function measureCall(scenario, { network, rooms, caller, callee }) {
  const ends = [caller, callee];
  const started = await Promise.all(ends.map((end) => end.waitFor(is('hears'), heardWithinMs)));
  if (started.some((event) => event === undefined)) return { outcome: 'no call' };
  await sleep(settleMs);
  const struckMs = Date.now();
  await scenario.strike({ network, rooms, sleep });
  // An audible gap shows 200 ms after it begins.
  const wholeMs = Date.now();
  await sleep(1_000);
  const recoverMs = await recovery(ends, wholeMs);
  const events = caller.events.filter(({ wallMs }) => wallMs >= struckMs).map(({ what }) => what);
  const data = await countPackets(caller, callee, wholeMs);
  return {
    outcome: recoverMs === undefined ? 'not recovered' : 'recovered',
    recoverMs,
    brokenMs: wholeMs - struckMs,
    silenceMs: Math.max(...ends.map((end) => longestSilence(end, struckMs))),
    events: [...new Set(events.filter((what) => !['hears', 'silence', 'report'].includes(what)))],
    data,
  };
}

/** The run in the middle of several, by the time that people notice. */
function median(results) {
  const notedMs = ({ silenceMs, connectMs, hearsMs = 0, heardMs = 0 }) =>
    silenceMs ?? Math.max(connectMs ?? Number.POSITIVE_INFINITY, hearsMs, heardMs);
  const sorted = [...results].sort((a, b) => notedMs(a) - notedMs(b));
  return sorted[Math.floor(sorted.length / 2)];
}

/** Everything that was said, for whoever looks for the cause of a figure. */
function tellAll(ends) {
  for (const [name, end] of Object.entries(ends)) {
    if (!end) continue;
    const events = end.events
      .filter((event) => event.what !== 'report')
      .map((event) => JSON.stringify(event));
    console.log([`-- ${name}`, ...events, ...end.log].join('\n'));
  }
}

async function runOne(scenario, engine, plugin) {
  const network = new FaultNetwork();
  try {
    await startNameServer(network, scenario.zone ?? {});
    await scenario.prepare?.(network);
    const rooms = await startRooms(network, { redis: scenario.id === 'node-replaced' });
    const serverUrl = scenario.kind === 'call' ? urlOf(scenario) : `ws://${addresses.server}:${ports.signal}`;
    const isCall = scenario.kind === 'call' || scenario.audible;
    // The other end is always the same engine, and has no fault in its way; where it has, both have to get over it.
    const callee =
      isCall &&
      new CallerProcess(network, 'server', {
        engine: scenario.hitsBoth ? engine : 'native',
        url: serverUrl,
        token: await tokenFor('callee'),
      });
    if (callee && !(await callee.waitFor(is('connected'), 20_000)))
      throw new Error('the other end did not connect');
    network.setFaults(scenario.faults ?? []);
    const env = {
      CONNECT_GIVE_UP_MS: String(scenario.giveUpMs ?? defaultGiveUpMs),
      ...(scenario.plugin && { FILTER_PLUGIN: plugin, OFFHOOK_PLUGIN_HTTPS_HOST: addresses.server }),
    };
    const caller = new CallerProcess(network, 'client', {
      engine,
      url: urlOf(scenario),
      token: await tokenFor('caller'),
      env,
    });
    const measured =
      scenario.kind === 'call'
        ? await measureCall(scenario, { network, rooms, caller, callee })
        : await measureConnect(scenario, caller, callee);
    if (values.verbose) tellAll({ caller, callee });
    return { ...measured, log: tellingLines(caller.log) };
  } catch (error) {
    return { outcome: 'bench failed', error: String(error?.message ?? error), log: [] };
  } finally {
    await network.close();
  }
}

const { values } = parseArgs({
  options: {
    engine: { type: 'string', multiple: true, default: ['native', 'offhook'] },
    only: { type: 'string' },
    repeat: { type: 'string', default: '1' },
    verbose: { type: 'boolean', default: false },
    docs: { type: 'boolean', default: false },
    out: { type: 'string', default: join(root, 'out') },
  },
});

const missing = missingForNetworks() ?? (findLivekitServer() ? undefined : 'livekit-server is absent');
if (missing) {
  console.log(`fault bench skipped: ${missing}`);
  process.exit(0);
}

mkdirSync(values.out, { recursive: true });
const jsonPath = join(values.out, 'faults.json');
// A run of a part of the table replaces that part.
const table = existsSync(jsonPath) ? JSON.parse(readFileSync(jsonPath, 'utf8')) : {};
const folder = mkdtempSync(join(tmpdir(), 'offhook-faults-'));
const plugin = buildPlugin(folder);
const only = values.only?.split(',');
for (const scenario of scenarios.filter(({ id }) => !only || only.includes(id))) {
  for (const engine of values.engine) {
    const results = [];
    const print = (title, { log, ...figures }) =>
      console.log(`${scenario.title} · ${engine}${title}: ${JSON.stringify(figures)}`);
    const runs = Number(values.repeat);
    for (let run = 0; run < runs; run++) {
      results.push(await runOne(scenario, engine, plugin));
      if (runs > 1) print(`, run ${run + 1} of ${runs}`, results.at(-1));
    }
    const result = median(results);
    table[scenario.id] = { ...table[scenario.id], [engine]: result };
    print(runs > 1 ? ', median' : '', result);
    writeFileSync(jsonPath, `${JSON.stringify(table, null, 2)}\n`);
  }
}
rmSync(folder, { recursive: true });
for (const target of [values.out, ...(values.docs ? [join(root, 'docs')] : [])]) {
  writeFileSync(join(target, 'faults.md'), renderTable(scenarios, table));
  writeFileSync(join(target, 'faults.svg'), renderChart(scenarios, table));
}
if (values.docs)
  execFileSync('npx', ['biome', 'format', '--write', 'docs/faults.md'], { cwd: root, stdio: 'ignore' });
