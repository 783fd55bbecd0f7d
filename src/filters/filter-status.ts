/** The states of a filter, and of one stream's filter. Audio passes unfiltered in all but `ready`. */
export type FilterState = 'loading' | 'ready' | 'unavailable';

/** Counts and times of one stream's frames of 10 ms. */
export interface FilterFrameStats {
  /** Frames that came back filtered in time. */
  processed: number;
  /** Frames that passed unfiltered because the filter did not answer in time. */
  late: number;
  /** Frames that passed unfiltered because the filter was not ready. */
  bypassed: number;
  /** Frames that passed unfiltered because the filter failed on them. */
  failed: number;
  /** Milliseconds from a frame's leaving to its return, median and 99th percentile; undefined before the first. */
  p50Ms: number | undefined;
  p99Ms: number | undefined;
}

export interface FilterStreamStatus {
  /** The track and the participant that the stream's information names. */
  trackId: string;
  participantIdentity: string;
  state: FilterState;
  /** Why it is unavailable, as a sentence. */
  reason: string | undefined;
  /** Milliseconds from the stream's creation to its state, or until now while it is loading. */
  elapsedMs: number;
  frames: FilterFrameStats;
}

export interface FilterStatus {
  moduleId: string;
  state: FilterState;
  /** Why it is unavailable, as a sentence. */
  reason: string | undefined;
  /** Milliseconds from the beginning of loading to the state, or until now while it is loading. */
  elapsedMs: number;
  /** How often its host has been started again after it ended. */
  restarts: number;
  streams: FilterStreamStatus[];
}

/** The audio that a filter stream belongs to, as plugins get it (camelCase JSON). */
export interface FilterStreamInfo {
  url: string;
  roomId: string;
  roomName: string;
  participantIdentity: string;
  participantId: string;
  trackId: string;
}
