import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { type ProbeStep, probeServer } from '../signal/index.js';
import { OffhookError, type TimelineRecord } from '../timeline/index.js';
import { probeMediaPath } from './doctor/ice-probe.js';
import { type Diagnosis, describeStep, renderDiagnosisPage, summarizeDiagnosis } from './doctor/report.js';
import { signToken } from './token.js';

interface DoctorOptions {
  token?: string;
  apiKey?: string;
  apiSecret?: string;
  json?: boolean;
  html?: string;
}

/** A token of the user's, or one for a room of the doctor's own. */
async function tokenOf({ token, apiKey, apiSecret }: DoctorOptions): Promise<string> {
  if (token) return token;
  if (apiKey && apiSecret) {
    const room = `offhook-doctor-${randomUUID()}`;
    return signToken({ key: apiKey, secret: apiSecret, room, identity: 'offhook-doctor', ttl: '10m' });
  }
  throw new OffhookError('OFFHOOK_INVALID_REQUEST', 'without a token nothing beyond TLS can be checked', {
    advice: 'Pass --token, or --api-key and --api-secret (or LIVEKIT_API_KEY and LIVEKIT_API_SECRET).',
  });
}

async function diagnose(url: string, options: DoctorOptions): Promise<Diagnosis> {
  const timelines: TimelineRecord[] = [];
  const diagnosis: Diagnosis = { url, healthy: true, steps: [], timelines };
  const token = await tokenOf(options);
  const signal = new AbortController().signal;
  for await (const step of allSteps(url, { token, signal })) {
    diagnosis.steps.push(step);
    if (!options.json) console.log(describeStep(step));
  }
  diagnosis.healthy = diagnosis.steps.every(({ outcome }) => outcome !== 'failed');
  return diagnosis;
}

/** Signalling first; what needs it is looked at only when it works. */
async function* allSteps(
  url: string,
  options: { token: string; signal: AbortSignal },
): AsyncGenerator<ProbeStep> {
  let last: ProbeStep | undefined;
  for await (const step of probeServer(url, options)) {
    last = step;
    yield step;
  }
  if (last?.name !== 'join' || last.outcome !== 'ok') return;
  for (const path of ['UDP', 'TCP', 'TURN'] as const) yield probeMediaPath(path, { url, ...options });
}

/** `offhook doctor`: each stage of connecting apart, what is wrong in words, and what to do. Exit code 1 on failure. */
export function registerDoctor(program: Command): void {
  program
    .command('doctor')
    .description('find out which stage of connecting to a server fails or is slow, and why')
    .argument('<url>', 'server, as ws(s):// or http(s)://')
    .option('--token <token>', 'access token; its room is joined for a moment, under its identity')
    .option('--api-key <key>', 'make a token for a room of its own', process.env.LIVEKIT_API_KEY)
    .option('--api-secret <secret>', 'secret of the API key', process.env.LIVEKIT_API_SECRET)
    .option('--json', 'print the diagnosis as JSON')
    .option('--html <file>', 'write the diagnosis as a page')
    .action(async (url: string, options: DoctorOptions) => {
      const diagnosis = await diagnose(url, options);
      if (options.html) writeFileSync(options.html, renderDiagnosisPage(diagnosis));
      console.log(options.json ? JSON.stringify(diagnosis, null, 2) : `\n${summarizeDiagnosis(diagnosis)}`);
      if (!diagnosis.healthy) process.exitCode = 1;
    });
}
