import type { Context } from '@opentelemetry/api';
import { openTelemetry } from './open-telemetry.js';
import type { SpanRecord, Timeline } from './timeline.js';

function attributesOf(span: Readonly<SpanRecord>): Record<string, string | number> {
  const attributes = {
    'offhook.stage': span.stage,
    'offhook.outcome': span.outcome,
    'offhook.attempt': span.attempt,
    'offhook.filter': span.filter,
    'offhook.deadline_ms': span.deadlineMs,
    'offhook.detail': span.detail,
    'server.address': span.host,
    'network.peer.address': span.address,
  };
  const given = Object.entries(attributes).filter(
    (entry): entry is [string, string | number] => entry[1] !== undefined,
  );
  return Object.fromEntries(given);
}

/**
 * Gives every step that ends to the tracer that the program registered with OpenTelemetry, as a child of `parent`: by
 * default the span that is active now. Without a tracer it costs nothing. Returns the function that stops it.
 */
export function traceTimeline(timeline: Timeline, parent?: Context): () => void {
  const within = parent ?? openTelemetry()?.context.active();
  if (!within) return () => {};
  return timeline.onSpanEnd((step) => traceStep(step, timeline.startedAtMs, within));
}

/**
 * Gives one step that has ended to the tracer that the program registered with OpenTelemetry.
 *
 * @param startedAtMs wall-clock time at which the step's timeline began, in milliseconds since the epoch
 */
export function traceStep(step: Readonly<SpanRecord>, startedAtMs: number, parent: Context): void {
  const api = openTelemetry();
  if (!api) return;
  const span = api.trace
    .getTracer('offhook')
    .startSpan(
      `offhook.${step.stage}`,
      { startTime: startedAtMs + step.startMs, attributes: attributesOf(step) },
      parent,
    );
  if (step.outcome === 'failed' || step.outcome === 'deadline') {
    span.setStatus({ code: api.SpanStatusCode.ERROR, message: step.detail });
  }
  span.end(startedAtMs + (step.endMs ?? step.startMs));
}
