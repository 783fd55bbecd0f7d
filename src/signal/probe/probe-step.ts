import { resolveDeadlines } from '../../deadlines/index.js';
import { describeError, type ErrorCode, OffhookError } from '../../errors/index.js';
import { Timeline } from '../../timeline/index.js';
import type { ConnectionOptions } from '../connection-options.js';

/** What looking at one step apart has shown. */
export interface ProbeStep {
  name: string;
  outcome: 'ok' | 'warning' | 'failed' | 'skipped';
  /** Of what went wrong. */
  code?: ErrorCode;
  /** What was found, in words. */
  says: string;
  /** What to do about it. */
  advice?: string;
  elapsedMs: number;
}

export type Finding = Omit<ProbeStep, 'name' | 'elapsedMs'>;

export interface ProbeOptions {
  /** Without one, only what needs none is looked at. */
  token?: string;
  signal: AbortSignal;
  /** Name servers in place of the system's. */
  nameServers?: readonly string[];
  /** Authorities to trust in place of the system's, as PEM. */
  ca?: string;
}

/** What was thrown, as a finding. */
export function findingOf(error: unknown): Finding {
  if (!(error instanceof OffhookError)) return { outcome: 'failed', says: describeError(error) };
  return { outcome: 'failed', code: error.code, says: error.summary, advice: error.advice };
}

/** Runs one step; it fails with what it throws. */
export async function probeStep(name: string, look: () => Promise<Finding>): Promise<ProbeStep> {
  const startedMs = performance.now();
  const finding = await look().catch(findingOf);
  return { name, ...finding, elapsedMs: performance.now() - startedMs };
}

/** Options of a connection that is opened to look at it, with the deadlines of the environment. */
export function connectionFor(options: ProbeOptions, timeline = new Timeline('probe')): ConnectionOptions {
  const deadlines = resolveDeadlines();
  const { signal, nameServers, ca } = options;
  return {
    timeline,
    deadlines,
    endsAtMs: performance.now() + deadlines.connect,
    signal,
    attempt: 1,
    nameServers,
    ca,
  };
}
