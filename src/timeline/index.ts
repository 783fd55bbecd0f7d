export { describeDuration, describeSpan, logTimeline, summarizeTimeline } from './log-lines.js';
export { openTelemetry } from './open-telemetry.js';
export { escapeHtml, type PageExtras, type PageSection, renderTimelinePage } from './page.js';
export { type RunStageOptions, runStage } from './run-stage.js';
export { renderTimelineText } from './text-report.js';
export {
  type Outcome,
  type Span,
  type SpanAttributes,
  type SpanRecord,
  Timeline,
  type TimelineRecord,
  type TimelineSubject,
} from './timeline.js';
export { saveTimeline } from './timeline-file.js';
export { traceStep, traceTimeline } from './tracing.js';
