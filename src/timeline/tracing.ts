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
 * default the span that is active now. Without a tracer it costs nothing. Returns what stops it.
 */
export function traceTimeline(timeline: Timeline, parent?: Context): () => void {
  const api = openTelemetry();
  if (!api) return () => {};
  const { context, SpanStatusCode, trace } = api;
  const within = parent ?? context.active();
  const tracer = trace.getTracer('offhook');
  return timeline.onSpanEnd((step) => {
    const wallClock = (ms: number) => timeline.startedAtMs + ms;
    const span = tracer.startSpan(
      `offhook.${step.stage}`,
      { startTime: wallClock(step.startMs), attributes: attributesOf(step) },
      within,
    );
    if (step.outcome === 'failed' || step.outcome === 'deadline') {
      span.setStatus({ code: SpanStatusCode.ERROR, message: step.detail });
    }
    span.end(wallClock(step.endMs ?? step.startMs));
  });
}
