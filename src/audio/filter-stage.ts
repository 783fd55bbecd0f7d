import { describeError } from '../errors/index.js';
import type { Logger } from '../logging/index.js';

/** Audio processing that may answer at once, later or never. */
export interface FrameFilter {
  /** Hz of the frames that it takes, for a filter that works at one rate only; default that of the stream. */
  readonly inputRate?: number;
  /** Hz of the frames that it gives; default the rate of those that it takes. */
  readonly outputRate?: number;
  /**
   * @param frame 10 ms of interleaved samples at `inputRate`; read-only
   * @param done takes 10 ms of filtered samples at `outputRate`; undefined lets the frame pass as it was
   */
  process(frame: Int16Array, done: (filtered: Int16Array | undefined) => void): void;
  close(): void;
}

export interface FilterStats {
  /** Frames that came back filtered. */
  framesFiltered: number;
  /** Frames that passed unfiltered because the filter did not answer in time. */
  framesLate: number;
}

/** Samples and their rate in Hz. */
export interface TimedSamples {
  samples: Int16Array;
  sampleRate: number;
}

interface Pending {
  frame: Int16Array;
  /** What goes out; undefined while the filter has not answered. */
  result: TimedSamples | undefined;
  deadlineMs: number;
  next: (audio: TimedSamples) => void;
}

const deadlineMs = 20;

/** Sends frames through a filter and lets them out in order, each within its deadline. */
export class FilterStage {
  readonly stats: FilterStats = { framesFiltered: 0, framesLate: 0 };
  #filter: FrameFilter;
  #inputRate: number;
  #outputRate: number;
  #nowMs: () => number;
  #pending: Pending[] = [];
  #log: Logger;
  #failing = false;
  #closed = false;

  /** @param streamRate Hz of the stream that the filter belongs to */
  constructor(filter: FrameFilter, streamRate: number, nowMs: () => number, log: Logger) {
    this.#log = log;
    this.#filter = filter;
    this.#inputRate = filter.inputRate ?? streamRate;
    this.#outputRate = filter.outputRate ?? this.#inputRate;
    this.#nowMs = nowMs;
  }

  /** Hz of the frames that `push` takes. */
  get inputRate(): number {
    return this.#inputRate;
  }

  push(frame: Int16Array, next: (audio: TimedSamples) => void): void {
    const pending: Pending = { frame, result: undefined, deadlineMs: this.#nowMs() + deadlineMs, next };
    this.#pending.push(pending);
    try {
      this.#filter.process(frame, (filtered) => this.#answer(pending, filtered));
      this.#failing = false;
    } catch (error) {
      if (!this.#failing)
        this.#log.warn(`the filter failed on a frame; the frame passes unfiltered: ${describeError(error)}`);
      this.#failing = true;
      this.#answer(pending, undefined);
    }
  }

  /** Lets pass, unfiltered, what the filter has kept for too long. */
  expire(): void {
    if (this.#pending.length === 0) return;
    const nowMs = this.#nowMs();
    for (const pending of this.#pending) {
      if (pending.result || nowMs < pending.deadlineMs) continue;
      this.stats.framesLate++;
      pending.result = this.#unfiltered(pending);
    }
    this.#release();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#pending = [];
    this.#filter.close();
  }

  #answer(pending: Pending, filtered: Int16Array | undefined): void {
    if (pending.result || this.#closed) return;
    const expected = Math.round((pending.frame.length * this.#outputRate) / this.#inputRate);
    if (filtered?.length === expected) {
      this.stats.framesFiltered++;
      pending.result = { samples: filtered, sampleRate: this.#outputRate };
    } else {
      pending.result = this.#unfiltered(pending);
    }
    this.#release();
  }

  #unfiltered({ frame }: Pending): TimedSamples {
    return { samples: frame, sampleRate: this.#inputRate };
  }

  #release(): void {
    while (this.#pending[0]?.result) {
      const { next, result } = this.#pending.shift()!;
      next(result!);
    }
  }
}
