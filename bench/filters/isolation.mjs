// node bench/filters/isolation.mjs [seconds]: what it costs that filters run apart from the engine. Streams of frames of
// 10 ms go through a filter that does next to nothing: time from a frame's leaving to its return, and CPU of the engine's
// process (beyond the same loop without filters) and of the filter's. As JSON.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { FilterRegistry } from '../../dist/filters/index.js';
import { compilePlugin } from '../../test/support/plugin/compile.mjs';
import { median, quantile } from '../statistics.mjs';

const seconds = Number(process.argv[2] ?? 5);
const rounds = 3;
const url = 'ws://127.0.0.1:7880';
const streamInfo = {
  url,
  roomId: 'RM',
  roomName: 'room',
  participantIdentity: 'caller',
  participantId: 'PA',
  trackId: 'TR',
};

/** CPU time that the process has used, in milliseconds. */
function cpuMs(pid) {
  const tasks = readdirSync(`/proc/${pid}/task`);
  const used = tasks.map((task) => readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]);
  return used.reduce((sum, nanoseconds) => sum + Number(nanoseconds) / 1e6, 0);
}

function hostPid() {
  const lines = execFileSync('ps', ['-eo', 'pid=,ppid=,args='], { encoding: 'utf8' }).split('\n');
  const line = lines.find(
    (text) => text.includes('filters/host/main.js') && text.trim().split(/\s+/)[1] === String(process.pid),
  );
  return line && Number(line.trim().split(/\s+/)[0]);
}

/** Calls `send` every 10 ms; returns the CPU that this process used meanwhile, per second. */
async function play(send) {
  const startedMs = performance.now();
  const before = cpuMs(process.pid);
  for (let tick = 0; tick < seconds * 100; tick++) {
    await delay(Math.max(0, startedMs + tick * 10 - performance.now()));
    send();
  }
  return (cpuMs(process.pid) - before) / seconds;
}

const filters = {
  native: (registry) => registry.loadNative({ moduleId: 'measured', pluginPath: compilePlugin() }),
  javascript: (registry) =>
    registry.loadScript({
      moduleId: 'measured',
      modulePath: fileURLToPath(new URL('./nothing.mjs', import.meta.url)),
    }),
};

async function measure(kind, streams) {
  const registry = new FilterRegistry();
  filters[kind](registry);
  registry.roomConnecting({ url, token: 'token' });
  const sessions = Array.from({ length: streams }, () =>
    registry.create('measured', { sampleRate: 48_000, numChannels: 1, streamInfo }),
  );
  while (sessions.some(({ status }) => status.state !== 'ready')) await delay(20);
  const frame = new Int16Array(480).fill(1_000);
  const roundTripsMs = [];
  const send = () => {
    for (const session of sessions) {
      const sentMs = performance.now();
      session.process(frame, (filtered) => filtered && roundTripsMs.push(performance.now() - sentMs));
    }
  };
  for (let i = 0; i < 50; i++) {
    send();
    await delay(10);
  }
  roundTripsMs.length = 0;
  const idle = await play(() => {});
  const pid = hostPid();
  const hostBefore = pid && cpuMs(pid);
  const engine = (await play(send)) - idle;
  const host = pid ? (cpuMs(pid) - hostBefore) / seconds : 0;
  registry.close();
  return {
    p50Ms: median(roundTripsMs),
    p99Ms: quantile(roundTripsMs, 0.99),
    // Milliseconds a second are tenths of a percent.
    enginePercentPerStream: engine / 10 / streams,
    hostPercentPerStream: host / 10 / streams,
    returned: roundTripsMs.length / (seconds * 100 * streams),
  };
}

const results = [];
for (const kind of Object.keys(filters)) {
  for (const streams of [1, 4, 16]) {
    const measured = [];
    for (let round = 0; round < rounds; round++) measured.push(await measure(kind, streams));
    const middle = (name) => Number(median(measured.map((each) => each[name])).toFixed(3));
    results.push({
      kind,
      streams,
      ...Object.fromEntries(Object.keys(measured[0]).map((name) => [name, middle(name)])),
    });
  }
}
console.log(JSON.stringify(results, null, 2));
