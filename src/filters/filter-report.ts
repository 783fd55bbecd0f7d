import { describeError, OffhookError } from '../errors/index.js';
import type { FilterState, FilterStreamStatus } from './filter-status.js';

interface LoadReport {
  url: string;
  state: FilterState;
  reason: string | undefined;
  elapsedMs: number | undefined;
}

/** What the log says when a filter's state for a room has changed. */
export function describeLoad({ url, state, reason, elapsedMs = 0 }: LoadReport): string {
  const after = `after ${Math.round(elapsedMs)} ms`;
  if (state === 'ready') return `ready ${after} (${url})`;
  return `unavailable ${after}: ${reason}; audio passes unfiltered (${url})`;
}

/** What the log says when the state of a stream's filter has changed. */
export function describeStream({ state, reason, elapsedMs, trackId }: FilterStreamStatus): string {
  const after = `after ${Math.round(elapsedMs)} ms (track ${trackId})`;
  return state === 'ready' ? `stream filtered ${after}` : `stream passes unfiltered ${after}: ${reason}`;
}

export function describeStreamEnd({ trackId, frames }: FilterStreamStatus): string {
  const { processed, late, bypassed, failed, p50Ms, p99Ms } = frames;
  const times = p50Ms === undefined ? '' : `; ${p50Ms.toFixed(1)} ms a frame, p99 ${p99Ms?.toFixed(1)} ms`;
  const counts = `${processed} filtered, ${late} late, ${failed} failed, ${bypassed} bypassed`;
  return `stream ended: ${counts}${times} (track ${trackId})`;
}

/** Why something failed, as a sentence; the code of an error says nothing more here. */
export function reasonOf(error: unknown): string {
  return error instanceof OffhookError ? error.message : describeError(error);
}
