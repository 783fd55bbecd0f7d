import type { FilterStreamInfo } from './filter-status.js';
import type { SampleFormat, Samples } from './samples.js';

/** What a filter written in JavaScript (or WebAssembly) gets when a stream begins. */
export interface AudioFilterStream {
  /** Hz. */
  sampleRate: number;
  /** Samples of a frame are interleaved. */
  numChannels: number;
  /** The options that the program gave for the stream. */
  options: unknown;
  streamInfo: FilterStreamInfo;
}

/** One stream's filter. */
export interface AudioFilter {
  /**
   * @param frame 10 ms of samples, the filter's to keep or change: 16-bit, or -1 to 1 when the definition says `float`
   * @returns as many samples filtered, or nothing when `frame` itself was changed
   */
  process(frame: Samples): Samples | undefined;
  /** A name or an identifier of the stream's room, participant or track has changed. */
  updateStreamInfo?(info: FilterStreamInfo): void;
  close?(): void;
}

/** The default export of a filter's module, which runs in a worker thread of its own. */
export interface AudioFilterDefinition {
  /** The samples that `process` takes; default `int16`. */
  sampleFormat?: SampleFormat;
  /** Hz, for a filter that works at one rate only; its streams are resampled around it. Default: the stream's. */
  sampleRate?: number;
  /** Called while each room connects; the filter is used once this has settled without an error. */
  load?(room: { url: string; token: string }): void | Promise<void>;
  updateToken?(room: { url: string; token: string }): void;
  create(stream: AudioFilterStream): AudioFilter | Promise<AudioFilter>;
}
