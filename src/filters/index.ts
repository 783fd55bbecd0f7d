export { FilterRegistry, type FilterRegistryOptions, type NativeFilter } from './filter-registry.js';
export type { FilterSession, FilterSessionOptions } from './filter-session.js';
export type {
  FilterFrameStats,
  FilterState,
  FilterStatus,
  FilterStreamInfo,
  FilterStreamStatus,
} from './filter-status.js';
