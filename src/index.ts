export { Resampler, type ResamplerOptions, type ResamplerQuality } from './audio/index.js';
export { RpcError, rpcErrorCodes } from './data/index.js';
export {
  type AudioFilter,
  type AudioFilterDefinition,
  type AudioFilterStream,
  AudioProcessing,
  type AudioProcessingOptions,
  type FilterStreamInfo,
  rnnoiseModuleId,
} from './filters/index.js';
export * from './library/index.js';
export {
  type ConnectStage,
  type Deadlines,
  defaultDeadlinesMs,
  type ErrorCode,
  errorCodes,
  type FilterStage,
  type LogLevel,
  type LogRecord,
  OffhookError,
  type OffhookErrorDetails,
  type OperationStage,
  type Outcome,
  type PageExtras,
  type PageSection,
  renderTimelinePage,
  renderTimelineText,
  type SpanAttributes,
  type SpanRecord,
  type Stage,
  type TimelineRecord,
} from './timeline/index.js';
