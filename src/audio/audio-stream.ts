import { limits } from '../limits.js';
import { createLogger, type Logger } from '../logging/index.js';
import { chain, type Stage } from './chain.js';
import { Chunker } from './chunker.js';
import { FilterStage, type FilterStats, type FrameFilter, type TimedSamples } from './filter-stage.js';
import { checkFormat, checkNumber } from './format.js';
import type { AudioFrame } from './frame.js';
import { FrameQueue } from './frame-queue.js';
import { remix } from './remix.js';
import { Resampler } from './resampler.js';

export interface AudioStreamOptions {
  /** Hz. */
  sampleRate: number;
  numChannels: number;
  /** Length of the frames delivered; default 10, as for 0. */
  frameSizeMs?: number;
  /** Frames kept for a consumer that is busy; 0 or undefined keeps all, otherwise the oldest are dropped. */
  queueSizeFrames?: number;
  filter?: FrameFilter;
  /** Called for every frame, in order. While a promise that it returned is pending, frames wait in the queue. */
  onFrame(frame: AudioFrame): void | Promise<void>;
  /** Called once, after which there are no more frames. */
  onEnd(): void;
}

export interface AudioStreamStats extends FilterStats {
  framesDelivered: number;
  /** Frames dropped because the consumer was busy and its queue full. */
  framesDropped: number;
}

/** Interleaved samples, and what they are. */
export interface DecodedAudio extends TimedSamples {
  numChannels: number;
}

/** @throws OffhookError `OFFHOOK_INVALID_REQUEST` for a format or a size that is out of limits */
export function checkStreamOptions(options: Omit<AudioStreamOptions, 'onFrame' | 'onEnd' | 'filter'>): void {
  const { frameSizeMs = 0, queueSizeFrames = 0 } = options;
  checkFormat('audio stream', options);
  checkNumber('audio stream', 'frame size in ms', frameSizeMs, [0, limits.frameSize.value]);
  checkNumber('audio stream', 'queue size in frames', queueSizeFrames, [0, 2 ** 32 - 1]);
}

/** A consumer's view of a track, with its own rate, channels, frame size and filter. */
export class AudioStream {
  readonly sampleRate: number;
  readonly numChannels: number;
  /** Takes what the track decoded, 10 ms at a time. */
  readonly push: (audio: DecodedAudio) => void;
  #options: AudioStreamOptions;
  #onClose: (stream: AudioStream) => void;
  #filter: FilterStage | undefined;
  #queue: FrameQueue;
  #closed = false;

  /**
   * @param nowMs monotonic time, for the filter's deadlines
   * @throws OffhookError `OFFHOOK_INVALID_REQUEST` for a format or a size that is out of limits
   */
  constructor(
    options: AudioStreamOptions,
    nowMs: () => number,
    onClose: (stream: AudioStream) => void,
    log: Logger = createLogger('audio/stream'),
  ) {
    checkStreamOptions(options);
    this.#options = options;
    this.#onClose = onClose;
    this.sampleRate = options.sampleRate;
    this.numChannels = options.numChannels;
    this.#filter = options.filter && new FilterStage(options.filter, this.sampleRate, nowMs, log);
    this.#queue = new FrameQueue(options.queueSizeFrames ?? 0, (frame) => options.onFrame(frame), log);
    const resample = resampleTo(this.sampleRate, this.numChannels);
    const toStreamRate = this.#filter ? this.#filterBefore(this.#filter, resample) : resample;
    this.push = chain([this.#remix, toStreamRate, this.#frame()], (frame) => this.#queue.push(frame));
  }

  /** Lets frames pass whose filter has not answered in time. */
  tick(): void {
    this.#filter?.expire();
  }

  get stats(): AudioStreamStats {
    return {
      framesDelivered: this.#queue.framesDelivered,
      framesDropped: this.#queue.framesDropped,
      framesFiltered: this.#filter?.stats.framesFiltered ?? 0,
      framesLate: this.#filter?.stats.framesLate ?? 0,
    };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue.close();
    this.#filter?.close();
    this.#onClose(this);
    this.#options.onEnd();
  }

  #remix: Stage<DecodedAudio, DecodedAudio> = (audio, next) => {
    const { numChannels } = this;
    if (audio.numChannels === numChannels) next(audio);
    else next({ ...audio, numChannels, samples: remix(audio.samples, audio.numChannels, numChannels) });
  };

  /** The filter works at its own rate where it has one; only what leaves it is brought to the stream's. */
  #filterBefore(
    filter: FilterStage,
    resample: Stage<TimedSamples, Int16Array>,
  ): Stage<TimedSamples, Int16Array> {
    const resampleForFilter = resampleTo(filter.inputRate, this.numChannels);
    const chunker = new Chunker(this.#valuesOf(10, filter.inputRate));
    return (audio, next) =>
      resampleForFilter(audio, (samples) =>
        chunker.push(samples, (piece) => filter.push(piece, (result) => resample(result, next))),
      );
  }

  #frame(): Stage<Int16Array, AudioFrame> {
    const { sampleRate, numChannels } = this;
    const chunker = new Chunker(this.#valuesOf(this.#options.frameSizeMs || 10, sampleRate));
    return (samples, next) =>
      chunker.push(samples, (data) =>
        next({ data, sampleRate, numChannels, samplesPerChannel: data.length / numChannels }),
      );
  }

  #valuesOf(ms: number, sampleRate: number): number {
    return Math.max(1, Math.floor((sampleRate * ms) / 1000)) * this.numChannels;
  }
}

/** A stage that brings samples to `outputRate` (Hz), and starts afresh when the rate that comes in changes. */
function resampleTo(outputRate: number, numChannels: number): Stage<TimedSamples, Int16Array> {
  let current: { from: number; resampler: Resampler } | undefined;
  return ({ samples, sampleRate }, next) => {
    if (sampleRate === outputRate) {
      current = undefined;
      next(samples);
      return;
    }
    if (current?.from !== sampleRate) {
      const resampler = Resampler.create({ inputRate: sampleRate, outputRate, numChannels, primed: true });
      current = { from: sampleRate, resampler };
    }
    next(current.resampler.push(samples));
  };
}
