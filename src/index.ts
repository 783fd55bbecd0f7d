export { Resampler, type ResamplerOptions, type ResamplerQuality } from './audio/index.js';
export { RpcError, rpcErrorCodes } from './data/index.js';
export { type Deadlines, defaultDeadlinesMs } from './deadlines/index.js';
export {
  type CallStage,
  type ConnectStage,
  type ErrorCode,
  errorCodes,
  type FilterStage,
  OffhookError,
  type OffhookErrorDetails,
  type OperationStage,
  type Stage,
} from './errors/index.js';
export {
  type AudioFilter,
  type AudioFilterDefinition,
  type AudioFilterStream,
  type FilterStreamInfo,
  rnnoiseModuleId,
  type SampleFormat,
  type Samples,
} from './filters/index.js';
export * from './library/index.js';
export type { LogLevel, LogRecord, LogSubject } from './logging/index.js';
export {
  type Outcome,
  type PageExtras,
  type PageSection,
  renderTimelinePage,
  renderTimelineText,
  type SpanAttributes,
  type SpanRecord,
  type TimelineRecord,
  type TimelineSubject,
} from './timeline/index.js';
