export type { AudioFilter, AudioFilterDefinition, AudioFilterStream } from './audio-filter.js';
export { observeFilters } from './filter-metrics.js';
export {
  FilterRegistry,
  type FilterRegistryOptions,
  type NativeFilter,
  rnnoiseModuleId,
  type ScriptFilter,
} from './filter-registry.js';
export type { FilterSession, FilterSessionOptions } from './filter-session.js';
export type {
  FilterFrameStats,
  FilterState,
  FilterStatus,
  FilterStreamInfo,
  FilterStreamStatus,
} from './filter-status.js';
export { AudioProcessing, type AudioProcessingOptions } from './processing/audio-processing.js';
export type { SampleFormat, Samples } from './samples.js';
