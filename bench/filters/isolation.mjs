// node bench/filters/isolation.mjs [seconds]: what it costs that filters run apart from the engine. Streams of frames of
// 10 ms go through a filter that does next to nothing: time from a frame's leaving to its return, and CPU of the engine's
// process (beyond the same loop without filters) and of the filter's. `echo` is the least that Node can do: a process
// that reads with blocking calls and writes back what it read, and nothing else on either side. A line of JSON for each, about
// eight minutes in all.
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { FilterRegistry } from '../../dist/filters/index.js';
import { compilePlugin } from '../../test/support/plugin/compile.mjs';
import { median, quantile } from '../statistics.mjs';

const seconds = Number(process.argv[2] ?? 30);
/** With and without frames in turns of this length, so that what others do to the machine meets both. */
const turnSeconds = 2;
/** Until V8 has compiled what runs a hundred times a second. */
const warmUpSeconds = 30;
const url = 'ws://127.0.0.1:7880';
const streamInfo = {
  url,
  roomId: 'RM',
  roomName: 'room',
  participantIdentity: 'caller',
  participantId: 'PA',
  trackId: 'TR',
};
const frame = new Int16Array(480).fill(1_000);
const messageBytes = frame.byteLength + 20;

/** CPU time that the process has used, in milliseconds. */
function cpuMs(pid) {
  const tasks = readdirSync(`/proc/${pid}/task`);
  const used = tasks.map((task) => readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]);
  return used.reduce((sum, nanoseconds) => sum + Number(nanoseconds) / 1e6, 0);
}

function filterProcess() {
  return readdirSync('/proc').find((pid) => {
    try {
      const [, ppid] = /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      return Number(ppid) === process.pid && command.includes('filters/host/main.js');
    } catch {
      return false;
    }
  });
}

/** Streams through a filter. `send` sends a frame in each and reports when it is back. */
async function openFilter(load, streams) {
  const registry = new FilterRegistry();
  load(registry);
  registry.roomConnecting({ url, token: 'token' });
  const sessions = Array.from({ length: streams }, () =>
    registry.create('measured', { sampleRate: 48_000, numChannels: 1, streamInfo }),
  );
  while (sessions.some(({ status }) => status.state !== 'ready')) await delay(20);
  return {
    pid: filterProcess(),
    send(onReturn) {
      for (const session of sessions) session.process(frame, (filtered) => filtered && onReturn());
    },
    close: () => registry.close(),
  };
}

/** As many bytes through a process that echoes them. */
async function openEcho(streams) {
  const source =
    "const { readSync, writeSync } = require('node:fs'); const bytes = Buffer.alloc(1 << 18);" +
    'for (let n; (n = readSync(3, bytes, 0, bytes.length, null)) > 0; ) for (let at = 0; at < n; ) at += writeSync(3, bytes, at, n - at);';
  const child = spawn(process.execPath, ['-e', source], { stdio: ['ignore', 2, 2, 'pipe'] });
  const socket = child.stdio[3];
  const message = new Uint8Array(messageBytes * streams);
  let awaited = 0;
  let report = () => {};
  // It is killed at the end, whatever is under way.
  socket.on('error', () => {});
  socket.on('data', (bytes) => {
    awaited -= bytes.length;
    if (awaited === 0) for (let i = 0; i < streams; i++) report();
  });
  return {
    pid: child.pid,
    send(onReturn) {
      report = onReturn;
      awaited += message.length;
      socket.write(message);
    },
    close: () => child.kill('SIGKILL'),
  };
}

const pluginPath = compilePlugin();
const modulePath = fileURLToPath(new URL('./nothing.mjs', import.meta.url));
const kinds = {
  echo: openEcho,
  native: (streams) =>
    openFilter((registry) => registry.loadNative({ moduleId: 'measured', pluginPath }), streams),
  javascript: (streams) =>
    openFilter((registry) => registry.loadScript({ moduleId: 'measured', modulePath }), streams),
};

/** Calls `send` every 10 ms; returns the CPU used meanwhile by this process and by the filter's, in percent of a core. */
async function play(pid, forSeconds, send) {
  const used = () => [cpuMs(process.pid), pid ? cpuMs(pid) : 0];
  const before = used();
  const startedMs = performance.now();
  for (let tick = 0; tick < forSeconds * 100; tick++) {
    await delay(Math.max(0, startedMs + tick * 10 - performance.now()));
    send();
  }
  // Milliseconds a second are tenths of a percent.
  return used().map((ms, i) => (ms - before[i]) / forSeconds / 10);
}

async function measure(kind, streams) {
  const opened = await kinds[kind](streams);
  const roundTripsMs = [];
  const send = () => {
    const sentMs = performance.now();
    opened.send(() => roundTripsMs.push(performance.now() - sentMs));
  };
  await play(opened.pid, warmUpSeconds, send);
  roundTripsMs.length = 0;
  const turns = [];
  for (let turn = 0; turn < seconds / turnSeconds; turn++) {
    const idle = await play(opened.pid, turnSeconds, () => {});
    const busy = await play(opened.pid, turnSeconds, send);
    turns.push({ engine: busy[0] - idle[0], host: busy[1] });
  }
  opened.close();
  const middle = (name) => median(turns.map((turn) => turn[name])) / streams;
  return {
    kind,
    streams,
    p50Ms: median(roundTripsMs),
    p99Ms: quantile(roundTripsMs, 0.99),
    enginePercentPerStream: middle('engine'),
    hostPercentPerStream: middle('host'),
    percentPerStream: middle('engine') + middle('host'),
    returned: roundTripsMs.length / (turns.length * turnSeconds * 100 * streams),
  };
}

const rounded = (value) => (typeof value === 'number' ? Number(value.toFixed(3)) : value);
for (const streams of [1, 4, 16]) {
  for (const kind of Object.keys(kinds)) {
    console.log(JSON.stringify(await measure(kind, streams), (_, value) => rounded(value)));
  }
}
