// Start of a job process: from its fork, as the worker of @livekit/agents does it, until it says that it can take a call.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { engineEnvironment, nodeArguments } from '../../test/support/program.mjs';
import { interleave } from '../bench.mjs';
import { summarize } from '../statistics.mjs';

const jobProcess = fileURLToPath(
  new URL('ipc/job_proc_lazy_main.js', import.meta.resolve('@livekit/agents')),
);
const agent = fileURLToPath(new URL('../programs/waiting-agent.mjs', import.meta.url));
const warmUps = 2;
const readyWithinMs = 60_000;

async function startOnce(engine) {
  const startedAtMs = performance.now();
  const child = fork(jobProcess, [agent], {
    execArgv: nodeArguments(engine),
    env: engineEnvironment({ OFFHOOK_LOG: 'error' }),
  });
  try {
    child.send({
      case: 'initializeRequest',
      value: {
        loggerOptions: { pretty: false, level: 'silent' },
        pingInterval: 2_500,
        pingTimeout: 60_000,
        highPingThreshold: 500,
        sessionEndTimeout: 300_000,
      },
    });
    const [message] = await once(child, 'message', { signal: AbortSignal.timeout(readyWithinMs) });
    if (message.case !== 'initializeResponse') throw new Error(`the job process said ${message.case} first`);
    return performance.now() - startedAtMs;
  } finally {
    const ended = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined;
    child.kill('SIGKILL');
    await ended;
  }
}

export const jobStart = {
  name: 'job-start',
  title: 'Start of a job process: fork to ready for a call',
  unit: 'ms',
  async run(bench, { pairs }) {
    for (let n = 0; n < warmUps; n++) for (const engine of ['native', 'offhook']) await startOnce(engine);
    const values = await interleave(bench, pairs, startOnce);
    return { native: summarize(values.native), offhook: summarize(values.offhook) };
  },
};
