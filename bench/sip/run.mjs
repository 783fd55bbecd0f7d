// node bench/sip/run.mjs [calls] [cancels]: what the SIP gateway costs and how long it takes, on this machine, in one run.
// node bench/sip/run.mjs cancel [calls] [calls a second]: calls that are given up at random moments, and nothing else.
// node bench/sip/run.mjs rate [calls a second] [seconds]: new calls at a steady rate; each one talks for five seconds.
//   1. Calls at once: CPU of each process for one of them, and packets that a telephone did not get.
//   2. From dialling to the answer, with an agent that needs nothing to decide.
//   3. Latency: from a telephone to a participant, beside the same participant hearing another one of the room.
//   4. CANCEL at random moments: how long until 487, and what is left of the calls afterwards.
// With PROFILE=FOLDER each process leaves a CPU profile there.
// The room server, the gateway, the agents and the telephones are processes of their own. Results are JSON on the last line.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { RoomServiceClient } from 'livekit-server-sdk';

const isRate = process.argv[2] === 'rate';
const isCancel = process.argv[2] === 'cancel';
const calls = Number(process.argv[2] ?? 50);
const cancels = Number(process.argv[3] ?? 100);
const talkMs = 15_000;
const giveUpWithinMs = 250;

const { PROFILE } = process.env;

const child = (name, ...args) => {
  const program = fork(fileURLToPath(new URL(`programs/${name}.mjs`, import.meta.url)), args, {
    stdio: 'inherit',
    execArgv: PROFILE
      ? ['--cpu-prof', `--cpu-prof-dir=${PROFILE}`, `--cpu-prof-name=${name}.cpuprofile`]
      : [],
  });
  const answers = [];
  program.on('message', (message) => answers.shift()?.(message));
  return {
    program,
    ask: (what, value = {}) =>
      new Promise((resolve) => {
        answers.push(resolve);
        program.send({ what, ...value });
      }),
    stop: async () => {
      program.disconnect();
      program.kill('SIGTERM');
      await once(program, 'exit');
    },
  };
};

/** CPU time of a process so far, in milliseconds. */
function cpuMs(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

const quantile = (values, q) =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * q))];
const tally = (values) =>
  Object.fromEntries(
    [...new Set(values)].map((value) => [value, values.filter((one) => one === value).length]),
  );
const round = (ms) => Math.round(ms * 10) / 10;
const spread = (values) => ({
  p50: round(quantile(values, 0.5)),
  p99: round(quantile(values, 0.99)),
  n: values.length,
});

/** UDP sockets that a process holds. */
function udpSockets(pid) {
  const own = new Set();
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      own.add(/^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1]);
    } catch {
      // It was closed meanwhile.
    }
  }
  const lines = readFileSync('/proc/net/udp', 'utf8').trim().split('\n').slice(1);
  return lines.filter((line) => own.has(line.trim().split(/\s+/)[9])).length;
}

/** What is left of the calls once none is, or after ten seconds; transactions and timers until the last repetition is absorbed. */
async function whatIsLeft(portsBefore) {
  const startedMs = performance.now();
  const afterMs = () => Math.round(performance.now() - startedMs);
  const rooms = new RoomServiceClient(url.replace('ws', 'http'), 'devkey', 'secret');
  const look = async () => ({
    ...(await gateway.ask('counts')),
    jobs: (await agents.ask('counts')).jobs,
    rooms: (await rooms.listRooms()).length,
    ports: udpSockets(gateway.program.pid) - portsBefore,
  });
  const until = async (isOver, mostMs) => {
    for (;;) {
      const left = await look();
      if (isOver(left) || afterMs() > mostMs) return { ...left, afterMs: afterMs() };
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const calls = await until(({ jobs, calls, rooms }) => jobs + calls + rooms === 0, 10_000);
  const transactions = await until((left) => left.transactions === 0, 40_000);
  return { calls, transactions };
}

const server = child('server');
const { url } = await server.ask('start');
const gateway = child('gateway', url);
const { port } = await gateway.ask('start');
const agents = child('agents', url);
await agents.ask('start');
const phones = child('phones', String(port));
await phones.ask('start');

if (isRate) {
  const [perSecond, seconds] = [Number(process.argv[3] ?? 10), Number(process.argv[4] ?? 300)];
  const before = cpuMs(gateway.program.pid);
  const portsBefore = udpSockets(gateway.program.pid);
  const { answerMs, ...sums } = await phones.ask('rate', { perSecond, seconds, talkMs: 5_000 });
  const cpuShare = (cpuMs(gateway.program.pid) - before) / 1_000 / seconds;
  const left = await whatIsLeft(portsBefore);
  console.log(
    JSON.stringify({ perSecond, seconds, answerMs: spread(answerMs), ...sums, cpuShare, left }, null, 2),
  );
  for (const one of [phones, agents, gateway, server]) await one.stop();
  process.exit(0);
}

/**
 * Calls that are given up, how fast 487 and the end of each one's job come, and what is left. Agents take their time, so that no
 * call is answered before it is given up.
 */
async function giveUp(count, perSecond) {
  const portsBefore = udpSockets(gateway.program.pid);
  await agents.ask('think', { thinkMs: giveUpWithinMs });
  const { cancelled } = await phones.ask('cancel', { count, perSecond, withinMs: giveUpWithinMs });
  const left = await whatIsLeft(portsBefore);
  const { ended } = await agents.ask('counts');
  await agents.ask('think', { thinkMs: 0 });
  const byUser = new Map(ended.map(({ room, atMs }) => [room.split('_')[1], atMs]));
  const jobEnds = cancelled.flatMap(({ user, atMs }) => (byUser.has(user) ? [byUser.get(user) - atMs] : []));
  return {
    // The last response that the telephone had heard when it gave up; 0 is none.
    cancelledAfter: tally(cancelled.map(({ heard }) => heard)),
    cancelMs: spread(cancelled.flatMap(({ cancelMs }) => cancelMs ?? [])),
    answeredAsCancelled: cancelled.filter(({ isAnswered, cancelMs }) => !isAnswered && cancelMs === undefined)
      .length,
    answeredBefore: cancelled.filter(({ isAnswered }) => isAnswered).length,
    jobEndMs: spread(jobEnds),
    jobEndMostMs: round(Math.max(...jobEnds)),
    left,
  };
}

if (isCancel) {
  const [count, perSecond] = [Number(process.argv[3] ?? 500), Number(process.argv[4] ?? 5)];
  console.log(JSON.stringify({ calls: count, perSecond, ...(await giveUp(count, perSecond)) }, null, 2));
  for (const one of [phones, agents, gateway, server]) await one.stop();
  process.exit(0);
}

const result = { machine: { cores: (await import('node:os')).cpus().length }, calls };
const processes = { gateway, server, agents, phones };
const cpuOfEach = () =>
  Object.fromEntries(Object.entries(processes).map(([name, { program }]) => [name, cpuMs(program.pid)]));
const perCall = (from, to, seconds) =>
  Object.fromEntries(
    Object.keys(from).map((name) => [name, round((to[name] - from[name]) / seconds / calls)]),
  );
/** Milliseconds that the cores were busy so far, with whatever runs on this machine. */
const machineMs = () => {
  const [user, nice, system, , , irq, softirq] = readFileSync('/proc/stat', 'utf8')
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return (user + nice + system + irq + softirq) * 10;
};
const before = cpuOfEach();
const machineFrom = machineMs();
const dialStartedMs = performance.now();
const dialled = await phones.ask('call', { count: calls, perSecond: 10, talkMs: 0 });
result.answerMs = spread(dialled.answerMs);
result.notAnswered = tally(dialled.failures);
const talkFrom = cpuOfEach();
const startedMs = performance.now();
const heard = await phones.ask('talk', { talkMs });
const talkedS = (performance.now() - startedMs) / 1_000;
result.setUpCpuMsPerCall = perCall(before, talkFrom, 1);
const sum = (all) => Object.values(all).reduce((total, ms) => total + ms, 0);
const ownMs = sum(cpuOfEach()) - sum(before);
// Of one core: what other programs did meanwhile, with the kernel's work for packets that is booked to nobody.
result.otherLoad = round((machineMs() - machineFrom - ownMs) / (performance.now() - dialStartedMs));
result.cpuMsPerCallSecond = perCall(talkFrom, cpuOfEach(), talkedS);
result.packets = { expected: heard.expected, received: heard.received, lost: heard.lost };
await phones.ask('hangUp');

if (cancels > 0) result.cancelled = await giveUp(cancels, 5);

result.latencyMs = await phones.ask('latency', { url });
console.log(JSON.stringify(result, null, 2));
for (const one of [phones, agents, gateway, server]) await one.stop();
process.exit(0);
