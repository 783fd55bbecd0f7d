export { type DeadlineOptions, withDeadline } from './deadline.js';
export {
  describeError,
  type ErrorCode,
  errorCodes,
  OffhookError,
  type OffhookErrorDetails,
} from './errors.js';
export { createLogger, type Logger, type LogLevel, type LogRecord, setLogSink } from './log.js';
export { describeDuration, describeSpan, logTimeline, summarizeTimeline } from './log-lines.js';
export { openTelemetry } from './open-telemetry.js';
export { outsideText, withoutTokens } from './outside-text.js';
export { escapeHtml, type PageExtras, type PageSection, renderTimelinePage } from './page.js';
export { deadlineVariable, resolveDeadlines } from './resolve-deadlines.js';
export { type RunStageOptions, runStage } from './run-stage.js';
export {
  type ConnectStage,
  connectStages,
  type Deadlines,
  defaultDeadlinesMs,
  type FilterStage,
  type OperationStage,
  type Stage,
} from './stages.js';
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
