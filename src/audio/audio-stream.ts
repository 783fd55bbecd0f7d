import { FilterStage, type FilterStats, type FrameFilter } from './filter-stage.js';
import type { AudioFrame } from './frame.js';
import { remix } from './remix.js';
import { Resampler } from './resampler.js';

export interface AudioStreamOptions {
  /** Hz. */
  sampleRate: number;
  numChannels: number;
  /** Length of the frames delivered; default 10. */
  frameSizeMs?: number;
  /** Frames kept for a consumer that is busy; 0 or undefined keeps all, otherwise the oldest are dropped. */
  queueSizeFrames?: number;
  filter?: FrameFilter;
  /** Called for every frame, in order. While a returned promise is pending, frames wait in the queue. */
  onFrame(frame: AudioFrame): void | Promise<void>;
  /** Called once, after which there are no more frames. */
  onEnd(): void;
}

export interface AudioStreamStats extends FilterStats {
  framesDelivered: number;
  /** Frames dropped because the consumer was busy and its queue full. */
  framesDropped: number;
}

/** Format of what the track decodes. */
export interface DecodedFormat {
  sampleRate: number;
  numChannels: number;
}

/** Cuts interleaved samples into pieces of one length, without copying where a piece lies whole in the input. */
class Chunker {
  readonly #size: number;
  readonly #emit: (piece: Int16Array) => void;
  #partial: Int16Array;
  #filled = 0;

  constructor(size: number, emit: (piece: Int16Array) => void) {
    this.#size = size;
    this.#emit = emit;
    this.#partial = new Int16Array(size);
  }

  push(samples: Int16Array): void {
    let at = 0;
    while (at < samples.length) {
      const part = samples.subarray(at, at + this.#size - this.#filled);
      at += part.length;
      if (part.length === this.#size) {
        this.#emit(part);
        continue;
      }
      this.#partial.set(part, this.#filled);
      this.#filled += part.length;
      if (this.#filled < this.#size) return;
      const whole = this.#partial;
      this.#partial = new Int16Array(this.#size);
      this.#filled = 0;
      this.#emit(whole);
    }
  }
}

/** A consumer's view of a track, with its own rate, channels, frame size and filter. */
export class AudioStream {
  readonly sampleRate: number;
  readonly numChannels: number;
  #options: AudioStreamOptions;
  #format: DecodedFormat | undefined;
  #resampler: Resampler | undefined;
  #filter: FilterStage | undefined;
  #tenMs: Chunker;
  #frames: Chunker;
  #queue: AudioFrame[] = [];
  #busy = false;
  #onClose: (stream: AudioStream) => void;
  #closed = false;
  #framesDelivered = 0;
  #framesDropped = 0;

  constructor(options: AudioStreamOptions, onClose: (stream: AudioStream) => void) {
    this.#options = options;
    this.#onClose = onClose;
    this.sampleRate = options.sampleRate;
    this.numChannels = options.numChannels;
    const valuesOf = (ms: number) =>
      Math.max(1, Math.floor((options.sampleRate * ms) / 1000)) * options.numChannels;
    this.#frames = new Chunker(valuesOf(options.frameSizeMs || 10), (data) => this.#enqueue(data));
    this.#filter = options.filter && new FilterStage(options.filter, (samples) => this.#frames.push(samples));
    this.#tenMs = new Chunker(valuesOf(10), (samples) => this.#filter?.push(samples, this.#nowMs));
  }

  #nowMs = 0;

  /** Takes decoded audio through remix, resample, filter and frame. */
  push(samples: Int16Array, format: DecodedFormat, nowMs: number): void {
    if (this.#closed) return;
    this.#nowMs = nowMs;
    const remixed = remix(samples, format.numChannels, this.numChannels);
    const resampled = this.#resample(remixed, format);
    if (this.#filter) this.#tenMs.push(resampled);
    else this.#frames.push(resampled);
  }

  /** Lets frames pass whose filter has not answered in time. */
  tick(nowMs: number): void {
    this.#filter?.expire(nowMs);
  }

  get stats(): AudioStreamStats {
    return {
      framesDelivered: this.#framesDelivered,
      framesDropped: this.#framesDropped,
      ...(this.#filter?.stats ?? { framesFiltered: 0, framesLate: 0 }),
    };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue = [];
    this.#filter?.close();
    this.#onClose(this);
    this.#options.onEnd();
  }

  #resample(samples: Int16Array, format: DecodedFormat): Int16Array {
    if (format.sampleRate !== this.#format?.sampleRate) {
      this.#format = format;
      this.#resampler =
        format.sampleRate === this.sampleRate
          ? undefined
          : Resampler.create({
              inputRate: format.sampleRate,
              outputRate: this.sampleRate,
              numChannels: this.numChannels,
              primed: true,
            });
    }
    return this.#resampler ? this.#resampler.push(samples) : samples;
  }

  #enqueue(data: Int16Array): void {
    if (this.#closed) return;
    const frame: AudioFrame = {
      data,
      sampleRate: this.sampleRate,
      numChannels: this.numChannels,
      samplesPerChannel: data.length / this.numChannels,
    };
    if (!this.#busy) {
      this.#deliver(frame);
      return;
    }
    this.#queue.push(frame);
    const limit = this.#options.queueSizeFrames;
    if (limit && this.#queue.length > limit) {
      this.#queue.shift();
      this.#framesDropped++;
    }
  }

  #deliver(frame: AudioFrame): void {
    this.#framesDelivered++;
    const pending = this.#options.onFrame(frame);
    if (!pending) return;
    this.#busy = true;
    const next = () => {
      this.#busy = false;
      const waiting = this.#queue.shift();
      if (waiting) this.#deliver(waiting);
    };
    pending.then(next, next);
  }
}
