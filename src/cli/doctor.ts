import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { type ProbeStep, probeServer } from '../signal/index.js';
import { OffhookError, type TimelineRecord } from '../timeline/index.js';
import { apiKeyOption, apiSecretOption } from './api-key-options.js';
import { probeCall } from './doctor/call-probe.js';
import { probeFilter } from './doctor/filter-probe.js';
import { probeMediaPath } from './doctor/ice-probe.js';
import { type Diagnosis, describeStep, renderDiagnosisPage, summarizeDiagnosis } from './doctor/report.js';
import { signToken } from './token.js';

interface DoctorOptions {
  token?: string;
  apiKey?: string;
  apiSecret?: string;
  json?: boolean;
  html?: string;
  /** Path of a filter plugin. */
  filter?: string;
}

/** Who the doctor joins as. With an API key it has a room and participants of its own. */
interface Patients {
  token: string;
  /** A further participant of the same room. */
  otherToken?: string;
}

async function patientsOf({ token, apiKey, apiSecret }: DoctorOptions): Promise<Patients> {
  if (token) return { token };
  if (apiKey && apiSecret) {
    const room = `offhook-doctor-${randomUUID()}`;
    const tokenOf = (identity: string) => signToken({ apiKey, apiSecret, room, identity, ttl: '10m' });
    return { token: await tokenOf('offhook-doctor'), otherToken: await tokenOf('offhook-doctor-listening') };
  }
  throw new OffhookError('OFFHOOK_INVALID_REQUEST', 'without a token nothing beyond TLS can be checked', {
    advice: 'Pass --token, or --api-key and --api-secret (or LIVEKIT_API_KEY and LIVEKIT_API_SECRET).',
  });
}

/** Signalling first; what needs it is looked at only when it works. */
async function* allSteps(
  url: string,
  { token, otherToken }: Patients,
  filter: string | undefined,
  keep: (timelines: TimelineRecord[]) => void,
): AsyncGenerator<ProbeStep> {
  const { signal } = new AbortController();
  let last: ProbeStep | undefined;
  for await (const step of probeServer(url, { token, signal })) {
    last = step;
    yield step;
  }
  if (last?.name === 'join' && last.outcome === 'ok') {
    for (const path of ['UDP', 'TCP', 'TURN'] as const) yield probeMediaPath(path, { url, token, signal });
    if (otherToken) yield* probeCall({ url, tokens: { speaker: token, listener: otherToken }, signal }, keep);
    else {
      const says = 'needs two participants: pass --api-key and --api-secret in place of --token';
      yield { name: 'publishing, subscribing', outcome: 'skipped', says, elapsedMs: 0 };
    }
  }
  if (filter) yield probeFilter({ pluginPath: filter, url, token });
}

/** A way for media that is closed is only worth a warning while another one is open. */
function withoutOpenWays(steps: ProbeStep[]): ProbeStep[] {
  const ways = steps.filter(({ name }) => name.startsWith('media over '));
  if (!ways.some(({ outcome }) => outcome === 'ok')) return steps;
  return steps.map((step) =>
    ways.includes(step) && step.outcome === 'failed' ? { ...step, outcome: 'warning' } : step,
  );
}

async function diagnose(url: string, options: DoctorOptions): Promise<Diagnosis> {
  const timelines: TimelineRecord[] = [];
  const patients = await patientsOf(options);
  const keep = (more: TimelineRecord[]) => timelines.push(...more);
  const found: ProbeStep[] = [];
  for await (const step of allSteps(url, patients, options.filter, keep)) {
    found.push(step);
    if (!options.json) console.log(describeStep(step));
  }
  const steps = withoutOpenWays(found);
  return { url, healthy: steps.every(({ outcome }) => outcome !== 'failed'), steps, timelines };
}

/** `offhook doctor`: each stage of connecting apart, what is wrong in words, and what to do. Exit code 1 on failure. */
export function registerDoctor(program: Command): void {
  program
    .command('doctor')
    .description('find out which stage of connecting to a server fails or is slow, and why')
    .argument('<url>', 'server, as ws(s):// or http(s)://')
    .option('--token <token>', 'access token, whose room is joined under its identity; or an API key')
    .addOption(apiKeyOption())
    .addOption(apiSecretOption())
    .option('--filter <plugin>', 'audio filter plugin whose loading is to be looked at')
    .option('--json', 'print the diagnosis as JSON')
    .option('--html <file>', 'write the diagnosis as a page')
    .action(async (url: string, options: DoctorOptions) => {
      const diagnosis = await diagnose(url, options);
      if (options.html) writeFileSync(options.html, renderDiagnosisPage(diagnosis));
      console.log(options.json ? JSON.stringify(diagnosis, null, 2) : `\n${summarizeDiagnosis(diagnosis)}`);
      if (!diagnosis.healthy) process.exitCode = 1;
    });
}
