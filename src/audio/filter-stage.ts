import { createLogger, describeError } from '../timeline/index.js';

/** Audio processing that may answer at once, later or never. */
export interface FrameFilter {
  /**
   * @param frame 10 ms of interleaved samples at the stream's rate, not to be written to
   * @param done takes the filtered samples, as many as came in; undefined lets the frame pass as it was
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

interface Pending {
  frame: Int16Array;
  /** What goes out; undefined while the filter has not answered. */
  result: Int16Array | undefined;
  deadlineMs: number;
  next: (samples: Int16Array) => void;
}

const log = createLogger('audio/filter');
const deadlineMs = 20;

/** Sends frames through a filter and lets them out in order, each within its deadline. */
export class FilterStage {
  readonly stats: FilterStats = { framesFiltered: 0, framesLate: 0 };
  #filter: FrameFilter;
  #nowMs: () => number;
  #pending: Pending[] = [];
  #failing = false;
  #closed = false;

  constructor(filter: FrameFilter, nowMs: () => number) {
    this.#filter = filter;
    this.#nowMs = nowMs;
  }

  push(frame: Int16Array, next: (samples: Int16Array) => void): void {
    const pending: Pending = { frame, result: undefined, deadlineMs: this.#nowMs() + deadlineMs, next };
    this.#pending.push(pending);
    try {
      this.#filter.process(frame, (filtered) => this.#answer(pending, filtered));
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) log.warn(`filter failed on a frame: ${describeError(error)}`);
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
      pending.result = pending.frame;
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
    const usable = filtered !== undefined && filtered.length === pending.frame.length;
    if (usable) this.stats.framesFiltered++;
    pending.result = usable ? filtered : pending.frame;
    this.#release();
  }

  #release(): void {
    while (this.#pending[0]?.result) {
      const { next, result } = this.#pending.shift()!;
      next(result!);
    }
  }
}
