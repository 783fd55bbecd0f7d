import { type DeadlineOptions, withDeadline } from '../deadlines/index.js';
import { describeError, OffhookError } from '../errors/index.js';
import type { Outcome, Span, SpanAttributes, Timeline } from './timeline.js';

export interface RunStageOptions
  extends DeadlineOptions,
    Omit<SpanAttributes, 'host' | 'deadlineMs' | 'detail'> {}

function outcomeOf(error: unknown): Outcome {
  if (!(error instanceof OffhookError)) return 'failed';
  if (error.code === 'OFFHOOK_DEADLINE') return 'deadline';
  return error.code === 'OFFHOOK_ABORTED' ? 'abandoned' : 'failed';
}

/**
 * Runs one step under its deadline, and records it in the timeline however it ends.
 *
 * @throws what {@link withDeadline} throws.
 */
export async function runStage<T>(
  timeline: Timeline,
  options: RunStageOptions,
  work: (signal: AbortSignal, span: Span) => Promise<T>,
): Promise<T> {
  const { stage, timeoutMs, host, address, attempt, filter } = options;
  const span = timeline.begin(stage, { host, address, attempt, filter, deadlineMs: timeoutMs });
  try {
    const value = await withDeadline(options, (signal) => work(signal, span));
    span.end('ok');
    return value;
  } catch (error) {
    span.end(outcomeOf(error), error instanceof OffhookError ? error.message : describeError(error));
    throw error;
  }
}
