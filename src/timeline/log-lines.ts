import type { Logger } from '../logging/index.js';
import type { SpanRecord, Timeline } from './timeline.js';

/** How long a step took, for people: `4 ms`, `1.25 s`. */
export function describeDuration(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

/** One ended step as a log line: `dns rooms.test: ok after 3 ms (10.0.0.7)`. */
export function describeSpan(span: Readonly<SpanRecord>): string {
  const what = [span.stage, span.filter ?? hostOf(span), span.address].filter(Boolean).join(' ');
  const attempt = span.attempt !== undefined && span.attempt > 1 ? ` (attempt ${span.attempt})` : '';
  const elapsed = describeDuration((span.endMs ?? span.startMs) - span.startMs);
  const detail = span.detail ? ` (${span.detail})` : '';
  return `${what}${attempt}: ${span.outcome} after ${elapsed}${detail}`;
}

/** The host, where the address does not repeat it. */
export function hostOf({ host, address }: Readonly<SpanRecord>): string | undefined {
  return host !== undefined && address?.startsWith(host) ? undefined : host;
}

/** Logs every step as it ends: what went wrong as a warning, the others for debugging. Returns the function that stops it. */
export function logTimeline(timeline: Timeline, log: Logger): () => void {
  const about = log.about(timeline.subject);
  return timeline.onSpanEnd((span) => {
    const line = `${timeline.name}: ${describeSpan(span)}`;
    if (span.outcome === 'failed' || span.outcome === 'deadline') about.warn(line);
    else about.debug(line);
  });
}

/** The steps of a connect that went well in one line: `dns 3 ms, tcp 1 ms, websocket 4 ms, join 5 ms`. */
export function summarizeTimeline(spans: readonly Readonly<SpanRecord>[]): string {
  return spans
    .filter(({ outcome }) => outcome === 'ok')
    .map(({ stage, startMs, endMs }) => `${stage} ${describeDuration((endMs ?? startMs) - startMs)}`)
    .join(', ');
}
