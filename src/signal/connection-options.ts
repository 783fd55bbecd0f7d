import type { Deadlines } from '../deadlines/index.js';
import type { Timeline } from '../timeline/index.js';

export interface ConnectionOptions {
  timeline: Timeline;
  deadlines: Deadlines;
  signal: AbortSignal;
  /** Which of several URLs this is for, from 1. */
  attempt: number;
  /** When all stages together must be over, in `performance.now()` time. */
  endsAtMs: number;
  /** Name servers in place of the system's. */
  nameServers?: readonly string[];
  /** Authorities to trust in place of the system's, as PEM. */
  ca?: string;
}

/** The time a stage has: its own deadline, or what is left of the whole. */
export function stageTimeoutMs(
  { deadlines, endsAtMs }: Pick<ConnectionOptions, 'deadlines' | 'endsAtMs'>,
  stage: 'dns' | 'tcp' | 'tls' | 'websocket' | 'join',
): number {
  return Math.max(1, Math.min(deadlines[stage], Math.round(endsAtMs - performance.now())));
}
