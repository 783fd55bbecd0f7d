// node bench/sip/run.mjs [calls] [cancels]: what the SIP gateway costs and how long it takes, on this machine, in one run.
// node bench/sip/run.mjs rate [calls a second] [seconds]: new calls at a steady rate; each one talks for five seconds.
//   1. Calls at once: CPU of the gateway's process for each, and packets that a telephone did not get.
//   2. From dialling to the answer, with an agent that needs nothing to decide.
//   3. Latency: from a telephone to a participant, beside the same participant hearing another one of the room.
//   4. CANCEL at random moments: how long until 487, and what is left of the calls afterwards.
// The room server, the gateway, the agents and the telephones are processes of their own. Results are JSON on the last line.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const isRate = process.argv[2] === 'rate';
const calls = Number(process.argv[2] ?? 50);
const cancels = Number(process.argv[3] ?? 100);
const talkMs = 15_000;

const child = (name, ...args) => {
  const program = fork(fileURLToPath(new URL(`programs/${name}.mjs`, import.meta.url)), args, {
    stdio: 'inherit',
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
const round = (ms) => Math.round(ms * 10) / 10;
const spread = (values) => ({
  p50: round(quantile(values, 0.5)),
  p99: round(quantile(values, 0.99)),
  n: values.length,
});

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
  const { answerMs, ...sums } = await phones.ask('rate', { perSecond, seconds, talkMs: 5_000 });
  const cpuShare = (cpuMs(gateway.program.pid) - before) / 1_000 / seconds;
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  const left = { ...(await gateway.ask('counts')), jobs: (await agents.ask('counts')).jobs };
  console.log(
    JSON.stringify({ perSecond, seconds, answerMs: spread(answerMs), ...sums, cpuShare, left }, null, 2),
  );
  for (const one of [phones, agents, gateway, server]) await one.stop();
  process.exit(0);
}

const result = { machine: { cores: (await import('node:os')).cpus().length }, calls };
const before = cpuMs(gateway.program.pid);
const dialled = await phones.ask('call', { count: calls, perSecond: 10, talkMs: 0 });
result.answerMs = spread(dialled.answerMs);
result.notAnswered = calls - dialled.answerMs.length;
const talkFrom = cpuMs(gateway.program.pid);
const startedMs = performance.now();
const heard = await phones.ask('talk', { talkMs });
const talkedMs = performance.now() - startedMs;
result.cpuMsPerCallSecond = round((cpuMs(gateway.program.pid) - talkFrom) / (talkedMs / 1_000) / calls);
result.setUpCpuMsPerCall = round((talkFrom - before) / calls);
result.packets = { expected: heard.expected, received: heard.received, lost: heard.lost };
await phones.ask('hangUp');

result.cancelMs = spread((await phones.ask('cancel', { count: cancels })).cancelMs);
await new Promise((resolve) => setTimeout(resolve, 3_000));
result.leftAfterCancels = await gateway.ask('counts');
result.agentsLeft = (await agents.ask('counts')).jobs;

result.latencyMs = await phones.ask('latency', { url });
console.log(JSON.stringify(result, null, 2));
for (const one of [phones, agents, gateway, server]) await one.stop();
process.exit(0);
