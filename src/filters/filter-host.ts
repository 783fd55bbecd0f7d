import type { SampleFormat, Samples } from './samples.js';

/** What a filter gets when a stream begins. */
export interface FilterStreamOptions {
  /** Hz of the frames going in. */
  inputRate: number;
  /** Hz of the frames coming out. */
  outputRate: number;
  numChannels: number;
  format: SampleFormat;
  /** The options that the program gave, as JSON. */
  optionsJson: string;
  /** FilterStreamInfo as JSON. */
  streamInfoJson: string;
}

/** Where one filter's code runs, apart from everything that a call needs. Nothing here blocks or throws. */
export interface FilterHost {
  /** Settles when the filter says that it is ready for a room at `url`, or why not; perhaps never. */
  load(url: string, token: string): Promise<void>;
  updateToken(url: string, token: string): void;
  /** Settles when the stream in `slot` can take frames, or with why not; perhaps never. */
  createStream(slot: number, options: FilterStreamOptions): Promise<void>;
  process(slot: number, sequence: number, frame: Samples, outputLength: number): void;
  updateStreamInfo(slot: number, streamInfoJson: string): void;
  destroyStream(slot: number): void;
  /** Ends it at once, whatever it is doing. `onEnd` is not called. */
  close(): void;
}

export interface FilterHostEvents {
  /**
   * The filter's code is there. `separateRates`: it takes and gives frames at different rates; `sampleRate`: the only
   * one it works at, in Hz.
   */
  onOpened(filter: { separateRates: boolean; sampleRate?: number | undefined }): void;
  onFrame(slot: number, sequence: number, filtered: Samples): void;
  onFrameFailed(slot: number, sequence: number, reason: string): void;
  /** Once, when the host is gone. `final`: starting it again would not help. */
  onEnd(reason: string, final: boolean): void;
}

export type StartFilterHost = (events: FilterHostEvents) => FilterHost;
