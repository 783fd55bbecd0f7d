// node bench/server.mjs [clients,clients] [--engine native|offhook] [--profile FOLDER]: CPU and memory of the room server beside
// livekit-server's, in one run. So many clients, in calls of two, each with one audio track both ways; they are the same for both
// servers: on offhook, 25 to a process, because fifty on the native engine are more than two cores carry.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startLivekitServer } from '../test/support/livekit-server.mjs';
import { Bench } from './bench.mjs';

const { values, positionals } = parseArgs({
  options: {
    engine: { type: 'string', default: 'offhook' },
    profile: { type: 'string' },
    settle: { type: 'string', default: '15' },
  },
  allowPositionals: true,
});
const counts = (positionals[0] ?? '20,50').split(',').map(Number);
const settleMs = Number(values.settle) * 1_000;
const measureMs = 15_000;
const clientsInProcess = 25;
/** Speech in frames of 20 ms; less was lost on the way. */
const fullFramesPerSecond = 50;

const command = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));

async function startOffhook() {
  const profile = values.profile ? ['--cpu-prof', '--cpu-prof-dir', values.profile] : [];
  const child = spawn(process.execPath, [...profile, command, 'dev', '--port', '0', '--log', 'warn'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(createInterface({ input: child.stdout }), 'line');
  return {
    url: /ws:\S+/.exec(line)[0],
    apiKey: 'devkey',
    apiSecret: 'secret',
    pid: child.pid,
    async stop() {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}

/** CPU in milliseconds so far, in all and in the kernel, and memory in MB. */
function usageOf(pid) {
  const tasks = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  const [, rssKb] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  const [userMs, systemMs] = [tasks[11], tasks[12]].map((ticks) => Number(ticks) * 10);
  return { cpuMs: userMs + systemMs, systemMs, rssMb: Number(rssKb) / 1_024 };
}

async function measure(server, clients) {
  const bench = new Bench(server, () => {});
  const joins = [];
  for (let call = 0; call < clients / 2; call++) {
    const room = bench.newRoom();
    for (const side of ['a', 'b']) joins.push(await bench.join(room, `${call}${side}`));
  }
  const programs = [];
  /** Frames that all clients have heard. */
  const heard = async () => {
    const usages = await Promise.all(programs.map((program) => program.call('usage', {}, 30_000)));
    return usages.reduce((sum, { framesHeard }) => sum + framesHeard, 0);
  };
  try {
    while (joins.length > 0) {
      const program = await bench.start(values.engine);
      programs.push(program);
      await program.call('openRooms', { joins: joins.splice(0, clientsInProcess) }, 120_000);
    }
    await delay(settleMs);
    const heardBefore = await heard();
    const startMs = performance.now();
    const before = usageOf(server.pid);
    await delay(measureMs);
    const after = usageOf(server.pid);
    const seconds = (performance.now() - startMs) / 1_000;
    const heardAfter = await heard();
    return {
      cpuMsPerSecondAndClient: (after.cpuMs - before.cpuMs) / seconds / clients,
      kernelShare: (after.systemMs - before.systemMs) / (after.cpuMs - before.cpuMs),
      rssMb: after.rssMb,
      heard: (heardAfter - heardBefore) / seconds / clients,
    };
  } finally {
    await bench.stop(...programs);
  }
}

const starts = { offhook: startOffhook, livekit: startLivekitServer };
const results = [];
for (const clients of counts) {
  const result = { clients };
  for (const [name, start] of Object.entries(starts)) {
    const server = await start();
    try {
      result[name] = await measure(server, clients);
    } finally {
      await server.stop();
    }
  }
  const ratio = (key) => (result.offhook[key] / result.livekit[key]).toFixed(2);
  const figures = ({ cpuMsPerSecondAndClient, kernelShare, rssMb, heard }) =>
    `${cpuMsPerSecondAndClient.toFixed(2)} ms CPU per second and client (${Math.round(100 * kernelShare)} % in the kernel), ${Math.round(rssMb)} MB, ${heard.toFixed(1)} of ${2 * fullFramesPerSecond} frames heard`;
  console.log(`${clients} clients: CPU ${ratio('cpuMsPerSecondAndClient')}, memory ${ratio('rssMb')}`);
  console.log(`    offhook dev:    ${figures(result.offhook)}`);
  console.log(`    livekit-server: ${figures(result.livekit)}`);
  results.push(result);
}
console.log(JSON.stringify(results));
