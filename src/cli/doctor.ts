import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { Argument, type Command } from 'commander';
import { describeError, OffhookError } from '../errors/index.js';
import { type ProbeStep, probeServer } from '../signal/index.js';
import type { TimelineRecord } from '../timeline/index.js';
import { apiKeyOption, apiSecretOption } from './api-key-options.js';
import { probeCall } from './doctor/call-probe.js';
import { probeFilter } from './doctor/filter-probe.js';
import { probeMediaPath } from './doctor/ice-probe.js';
import {
  type Diagnosis,
  describeStep,
  diagnosisJson,
  renderDiagnosisPage,
  summarizeDiagnosis,
} from './doctor/report.js';
import { signToken } from './token.js';
import { usageExitCode } from './usage.js';

interface DoctorOptions {
  token?: string;
  apiKey?: string;
  apiSecret?: string;
  json?: boolean;
  html?: string;
  /** Path of a filter plugin. */
  filter?: string;
}

/** The tokens that the doctor joins with. With an API key it has a room and participants of its own. */
interface ProbeTokens {
  token: string;
  /** A token for the same room and each further participant; undefined where there is only the one token. */
  another: ((identity: string) => Promise<string>) | undefined;
}

async function probeTokensOf({ token, apiKey, apiSecret }: DoctorOptions): Promise<ProbeTokens | undefined> {
  if (token) return { token, another: undefined };
  if (!apiKey || !apiSecret) return undefined;
  const room = `offhook-doctor-${randomUUID()}`;
  const another = (identity: string) => signToken({ apiKey, apiSecret, room, identity, ttl: '10m' });
  return { token: await another('offhook-doctor'), another };
}

const mediaPaths = ['UDP', 'TCP', 'TURN'] as const;
const callSteps = ['publishing', 'subscribing'];
const skipped = (name: string, says: string): ProbeStep => ({ name, outcome: 'skipped', says, elapsedMs: 0 });

/** The steps that are skipped without a token. */
function needToken(): ProbeStep[] {
  const names = [
    'token',
    'WebSocket',
    'join',
    ...mediaPaths.map((path) => `media over ${path}`),
    ...callSteps,
  ];
  return names.map((name) => skipped(name, 'needs a token'));
}

/** Signalling first; what needs it is tested only when it works. */
async function* allSteps(
  url: string,
  tokens: ProbeTokens | undefined,
  filter: string | undefined,
  keep: (timelines: TimelineRecord[]) => void,
): AsyncGenerator<ProbeStep> {
  const { signal } = new AbortController();
  let last: ProbeStep | undefined;
  for await (const step of probeServer(url, { token: tokens?.token, signal })) {
    last = step;
    yield step;
  }
  if (!tokens) {
    if (last?.name === 'HTTP') yield* needToken();
  } else if (last?.name === 'join' && last.outcome === 'ok') yield* mediaSteps(url, tokens, signal, keep);
  if (filter) yield probeFilter({ pluginPath: filter, url, token: tokens?.token ?? '' });
}

async function* mediaSteps(
  url: string,
  { token, another }: ProbeTokens,
  signal: AbortSignal,
  keep: (timelines: TimelineRecord[]) => void,
): AsyncGenerator<ProbeStep> {
  for (const path of mediaPaths) {
    // Under an identity of its own where there is a key: the server may not have removed the one that just left.
    const own = (await another?.(`offhook-doctor-${path}`)) ?? token;
    yield probeMediaPath(path, { url, token: own, signal });
  }
  if (another) {
    const [speaker, listener] = await Promise.all([
      another('offhook-doctor-speaking'),
      another('offhook-doctor-listening'),
    ]);
    yield* probeCall({ url, tokens: { speaker, listener }, signal }, keep);
    return;
  }
  const says = 'needs two participants: pass --api-key and --api-secret in place of --token';
  for (const name of callSteps) yield skipped(name, says);
}

/** A closed path for media is only a warning while another one is open. */
function withClosedPathsAsWarnings(steps: ProbeStep[]): ProbeStep[] {
  const paths = steps.filter(({ name }) => name.startsWith('media over '));
  if (!paths.some(({ outcome }) => outcome === 'ok')) return steps;
  return steps.map((step) =>
    paths.includes(step) && step.outcome === 'failed' ? { ...step, outcome: 'warning' } : step,
  );
}

async function diagnose(url: string, options: DoctorOptions): Promise<Diagnosis> {
  const timelines: TimelineRecord[] = [];
  const tokens = await probeTokensOf(options);
  const keep = (more: TimelineRecord[]) => timelines.push(...more);
  const found: ProbeStep[] = [];
  for await (const step of allSteps(url, tokens, options.filter, keep)) {
    found.push(step);
    if (!options.json) console.log(describeStep(step));
  }
  const steps = withClosedPathsAsWarnings(found);
  return { url, healthy: steps.every(({ outcome }) => outcome !== 'failed'), steps, timelines };
}

/** Writes the report. When that fails, the diagnosis has still been printed. */
function writeReport(path: string, diagnosis: Diagnosis): void {
  try {
    writeFileSync(path, renderDiagnosisPage(diagnosis));
  } catch (error) {
    console.error(`offhook: the report could not be written: ${describeError(error)}`);
    process.exitCode = usageExitCode;
  }
}

/** `offhook doctor`: tests each stage of connecting by itself, and says what is wrong and what to do. */
export function registerDoctor(program: Command): void {
  program
    .command('doctor')
    .description('find out which stage of connecting to a server fails or is slow, and why')
    .addArgument(
      new Argument('[url]', 'server, as ws(s):// or http(s)://').default(
        process.env.LIVEKIT_URL,
        'LIVEKIT_URL of the environment',
      ),
    )
    .option('--token <token>', 'access token, whose room is joined under its identity; or an API key')
    .addOption(apiKeyOption())
    .addOption(apiSecretOption())
    .option('--filter <plugin>', 'audio filter plugin whose loading is tested')
    .option('--json', 'print the diagnosis as JSON')
    .option('--html <file>', 'write the diagnosis as a page')
    .addHelpText(
      'after',
      '\nExit code: 0 when everything works, 1 when a step failed, 2 when the command is wrong.',
    )
    .action(async (url: string | undefined, options: DoctorOptions) => {
      if (!url) {
        throw new OffhookError('OFFHOOK_INVALID_REQUEST', 'no server was given', {
          advice: 'Pass its URL, or set LIVEKIT_URL.',
        });
      }
      const diagnosis = await diagnose(url, options);
      console.log(options.json ? diagnosisJson(diagnosis) : `\n${summarizeDiagnosis(diagnosis)}`);
      if (options.html) writeReport(options.html, diagnosis);
      if (!diagnosis.healthy) process.exitCode = 1;
    });
}
