import { limits } from '../limits.js';
import type { LogSubject } from '../logging/index.js';
import type { FilterHost } from './filter-host.js';
import type { FilterState, FilterStreamInfo, FilterStreamStatus } from './filter-status.js';
import { LatencyHistogram } from './latency-histogram.js';
import { MissWindow } from './miss-window.js';
import { type SampleFormat, type Samples, toFormat, toInt16 } from './samples.js';

export interface FilterSessionOptions {
  /** Hz of the stream; the filter may work at rates of its own, see `inputRate` and `outputRate` of the session. */
  sampleRate: number;
  numChannels: number;
  /** The samples the filter works on; default `int16`. */
  format?: SampleFormat;
  /** The options that the program gave, as JSON; default an empty object. */
  optionsJson?: string;
  streamInfo: FilterStreamInfo;
  /** For logs. */
  subject?: LogSubject;
}

/** In Hz. */
export interface FilterRates {
  inputRate: number;
  outputRate: number;
}

/** What a session asks of the filter that it belongs to. */
export interface FilterSessionOwner {
  onInfo(session: FilterSession): void;
  /** The filter failed on a frame of the stream for the first time: told once, not for each frame. */
  onFirstFailure(session: FilterSession, reason: string): void;
  /** Too many frames were missed: the session will send no more. */
  onTakenOut(session: FilterSession, reason: string): void;
  onClose(session: FilterSession): void;
}

interface PendingFrame {
  done: (filtered: Int16Array | undefined) => void;
  sentMs: number;
}

interface Attachment {
  host: FilterHost;
  slot: number;
}

/** Frames under way at a time; further ones pass unfiltered. */
const frameDeadlineMs = 15;
/** Frames are looked after by those that follow; this is for the last before a pause. A shorter timer wakes the engine. */
const pauseMs = 250;

/** One stream's use of a filter. Frames pass unfiltered, at once, whenever the filter cannot take them. */
export class FilterSession {
  readonly options: FilterSessionOptions;
  /** Hz of the frames that `process` takes. */
  readonly inputRate: number;
  /** Hz of the frames that it gives. */
  readonly outputRate: number;
  #owner: FilterSessionOwner;
  #streamInfo: FilterStreamInfo;
  #attachment: Attachment | undefined;
  #state: FilterState = 'loading';
  #reason: string | undefined;
  #createdMs = performance.now();
  #settledMs: number | undefined;
  #takenOut = false;
  #timesTakenOut = 0;
  /** Frames that the host was given and has not answered. */
  #unanswered = 0;
  #closed = false;
  #pending = new Map<number, PendingFrame>();
  #sequence = 0;
  #timer: NodeJS.Timeout | undefined;
  #misses = new MissWindow();
  /** What the filter said when it failed last. */
  #failure: string | undefined;
  #latency = new LatencyHistogram();
  #counts = { processed: 0, late: 0, bypassed: 0, failed: 0 };

  constructor(options: FilterSessionOptions, rates: FilterRates, owner: FilterSessionOwner) {
    this.options = options;
    this.inputRate = rates.inputRate;
    this.outputRate = rates.outputRate;
    this.#streamInfo = options.streamInfo;
    this.#owner = owner;
  }

  get streamInfo(): FilterStreamInfo {
    return this.#streamInfo;
  }

  get attachment(): Readonly<Attachment> | undefined {
    return this.#attachment;
  }

  /** True when nothing may be attached from now on. */
  get over(): boolean {
    return this.#closed || this.#takenOut;
  }

  get timesTakenOut(): number {
    return this.#timesTakenOut;
  }

  /** True when the host still has frames of this stream, late as they are. */
  get isAwaited(): boolean {
    return this.#unanswered > 0;
  }

  get status(): FilterStreamStatus {
    return {
      trackId: this.#streamInfo.trackId,
      participantIdentity: this.#streamInfo.participantIdentity,
      state: this.#state,
      reason: this.#reason,
      elapsedMs: (this.#settledMs ?? performance.now()) - this.#createdMs,
      frames: {
        ...this.#counts,
        p50Ms: this.#latency.percentile(0.5),
        p99Ms: this.#latency.percentile(0.99),
      },
    };
  }

  /**
   * @param frame 10 ms of interleaved samples at `inputRate`
   * @param done called once, in any order: with the filtered samples, or with undefined to let the frame pass as it is;
   *   a frame that is late is given up when the next one comes
   */
  process(frame: Int16Array, done: (filtered: Int16Array | undefined) => void): void {
    const attachment = this.#attachment;
    if (!attachment) {
      this.#counts.bypassed++;
      done(undefined);
      return;
    }
    this.#expire();
    if (this.#pending.size >= limits.filterFrames.value) {
      this.#miss('late', done);
      return;
    }
    const sequence = this.#sequence++;
    this.#pending.set(sequence, { done, sentMs: performance.now() });
    this.#timer ??= setTimeout(() => this.#onPause(), pauseMs).unref();
    const samples = toFormat(frame, this.options.format ?? 'int16');
    const outputLength = Math.round((frame.length * this.outputRate) / this.inputRate);
    this.#unanswered++;
    attachment.host.process(attachment.slot, sequence, samples, outputLength);
  }

  updateStreamInfo(info: FilterStreamInfo): void {
    this.#streamInfo = info;
    this.#owner.onInfo(this);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#owner.onClose(this);
    this.detach(this.#state, 'closed');
  }

  /** From the next frame on, frames go through the filter. */
  attach(host: FilterHost, slot: number): void {
    this.#unanswered = 0;
    this.#attachment = { host, slot };
    this.#setState('ready', undefined);
  }

  /** Gives a filter that was taken out another chance. */
  readmit(): void {
    this.#takenOut = false;
    this.#misses = new MissWindow();
  }

  /** From the next frame on, frames pass; so do those that are under way. */
  detach(state: FilterState, reason: string | undefined): void {
    this.#attachment = undefined;
    this.#setState(state, reason);
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    this.#counts.bypassed += pending.length;
    for (const { done } of pending) done(undefined);
  }

  onFrame(sequence: number, filtered: Samples): void {
    const pending = this.#take(sequence);
    if (!pending) return;
    const elapsedMs = performance.now() - pending.sentMs;
    if (elapsedMs > frameDeadlineMs) {
      this.#miss('late', pending.done);
      return;
    }
    this.#counts.processed++;
    this.#latency.add(elapsedMs);
    this.#misses.add('processed');
    pending.done(toInt16(filtered));
  }

  onFrameFailed(sequence: number, reason: string): void {
    const isFirst = this.#failure === undefined;
    this.#failure = reason;
    if (isFirst) this.#owner.onFirstFailure(this, reason);
    const pending = this.#take(sequence);
    if (pending) this.#miss('failed', pending.done);
  }

  #take(sequence: number): PendingFrame | undefined {
    this.#unanswered--;
    const pending = this.#pending.get(sequence);
    this.#pending.delete(sequence);
    return pending;
  }

  /** Lets pass what the filter has kept for too long. */
  #expire(): void {
    const nowMs = performance.now();
    for (const [sequence, { done, sentMs }] of this.#pending) {
      if (nowMs - sentMs < frameDeadlineMs) return;
      this.#pending.delete(sequence);
      this.#miss('late', done);
    }
  }

  #onPause(): void {
    this.#timer = undefined;
    this.#expire();
    if (this.#pending.size > 0) this.#timer = setTimeout(() => this.#onPause(), pauseMs).unref();
  }

  #miss(kind: 'late' | 'failed', done: PendingFrame['done']): void {
    this.#counts[kind]++;
    done(undefined);
    if (!this.#misses.add(kind) || this.over) return;
    this.#takenOut = true;
    this.#timesTakenOut++;
    this.#owner.onTakenOut(this, this.#misses.describe(this.#failure));
  }

  #setState(state: FilterState, reason: string | undefined): void {
    if (state === this.#state && reason === this.#reason) return;
    this.#state = state;
    this.#reason = reason;
    this.#settledMs = state === 'loading' ? undefined : performance.now();
  }
}
