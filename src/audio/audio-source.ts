import { OffhookError } from '../errors/index.js';
import { limits } from '../limits.js';
import { checkFormat, checkNumber } from './format.js';
import type { AudioFrame } from './frame.js';
import { sharedTicker, type Ticker, tickMs } from './ticker.js';

export interface AudioSourceOptions {
  /** Hz. */
  sampleRate: number;
  numChannels: number;
  /** How much audio may wait; 0 hands each frame of 10 ms straight to the senders, at the program's own pace. */
  queueSizeMs: number;
  ticker?: Ticker;
}

/** What a source feeds: 10 ms at a time. */
export interface AudioSink {
  /** @param samples interleaved, valid during the call; undefined is 10 ms in which the program gave nothing */
  onAudio(samples: Int16Array | undefined, nowMs: number): void;
}

/** Samples that another thread writes into shared memory, in place of calling `captureFrame`. */
export interface CaptureRing {
  /** Samples per channel that wait. */
  readonly queuedFrames: number;
  /** Moves up to `frames` samples per channel into `target`. Returns how many. */
  read(target: Int16Array, frames: number): number;
  /** Drops what waits. */
  clear(): void;
  /** Whether a capture of the other thread waits for room. Reading it resets it; the other thread sets it again. */
  takeWaiting(): boolean;
  /** Tells the other thread whether the ring is read at every tick, or somebody must call `wake` for what it writes. */
  setAwake(awake: boolean): void;
  /** A capture that did not fit came through `captureFrame`; until `frames` is 0 those that follow must come after it. */
  overflowed(frames: number): void;
  /** Counts a capture that came through `captureFrame`, whatever became of it. */
  countCapture(): void;
}

interface WaitingCapture {
  resolve(): void;
  reject(error: OffhookError): void;
}

/**
 * Audio that a program captures, played out in real time to every sender that it feeds (and to nobody while there is
 * none: a program is paced before its track is published too).
 */
export class AudioSource {
  readonly sampleRate: number;
  readonly numChannels: number;
  readonly queueSizeMs: number;
  #ticker: Ticker;
  #sinks = new Set<AudioSink>();
  #chunks: Int16Array[] = [];
  /** Where the first chunk goes on, in values. */
  #offset = 0;
  #queuedFrames = 0;
  #waiting: WaitingCapture[] = [];
  #ticks = 0;
  #scratch: Int16Array;
  #ring: CaptureRing | undefined;
  #onRoom: () => void = () => {};
  #closed = false;

  /** @throws OffhookError `OFFHOOK_INVALID_REQUEST` for a format that is not one. */
  constructor(options: AudioSourceOptions) {
    const { sampleRate, numChannels, queueSizeMs } = options;
    checkFormat('audio source', options);
    checkNumber('audio source', 'queue size in ms', queueSizeMs, [0, limits.sourceQueue.value]);
    this.sampleRate = sampleRate;
    this.numChannels = numChannels;
    this.queueSizeMs = queueSizeMs;
    this.#ticker = options.ticker ?? sharedTicker();
    this.#scratch = new Int16Array(Math.ceil((sampleRate * tickMs) / 1000) * numChannels);
  }

  get queuedMs(): number {
    return (this.#allQueuedFrames * 1000) / this.sampleRate;
  }

  /**
   * Plays what another thread writes into `ring`, before what is captured here.
   *
   * @param onRoom is called at a tick after which a capture of the other thread that waited has room, and at the end
   */
  playFrom(ring: CaptureRing, onRoom: () => void): void {
    this.#ring = ring;
    this.#onRoom = onRoom;
    if (this.#sinks.size > 0 || ring.queuedFrames > 0) this.wake();
  }

  /** Begins to play: something was written into the ring while nothing read it. */
  wake(): void {
    if (this.#closed || this.queueSizeMs === 0) return;
    this.#ring?.setAwake(true);
    this.#ticker.add(this.#onTick);
  }

  /**
   * Queues a frame. Resolves when no more than the queue's size is waiting, which paces the program.
   *
   * @throws OffhookError `OFFHOOK_INVALID_REQUEST` when the frame's format is not the source's, `OFFHOOK_CLOSED`.
   */
  async captureFrame(frame: AudioFrame): Promise<void> {
    try {
      this.#check(frame);
    } finally {
      this.#ring?.countCapture();
    }
    if (frame.data.length === 0) return;
    if (this.queueSizeMs === 0) {
      const nowMs = this.#ticker.clock.nowMs();
      for (const sink of this.#sinks) sink.onAudio(frame.data, nowMs);
      return;
    }
    this.#chunks.push(frame.data.slice());
    this.#queuedFrames += frame.data.length / this.numChannels;
    this.#ring?.overflowed(this.#queuedFrames);
    this.wake();
    if (this.queuedMs <= this.queueSizeMs) return;
    await new Promise<void>((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** Drops what is queued; captures that wait resolve. */
  clearQueue(): void {
    this.#dropQueued();
    this.#resolveWaiting();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#ticker.remove(this.#onTick);
    this.#dropQueued();
    this.#sinks.clear();
    const error = new OffhookError('OFFHOOK_CLOSED', 'the audio source is closed');
    for (const capture of this.#waiting.splice(0)) capture.reject(error);
    if (this.#ring?.takeWaiting()) this.#onRoom();
  }

  /** Begins to feed `sink`, every 10 ms from now on. */
  attach(sink: AudioSink): void {
    if (this.#closed) return;
    this.#sinks.add(sink);
    this.wake();
  }

  detach(sink: AudioSink): void {
    this.#sinks.delete(sink);
    this.#restIfIdle();
  }

  #check(frame: AudioFrame): void {
    if (this.#closed) throw new OffhookError('OFFHOOK_CLOSED', 'the audio source is closed');
    const problem = this.#problemOf(frame);
    if (problem) throw new OffhookError('OFFHOOK_INVALID_REQUEST', `audio source: ${problem}`);
  }

  #problemOf({ sampleRate, numChannels, data }: AudioFrame): string | undefined {
    if (sampleRate !== this.sampleRate || numChannels !== this.numChannels) {
      return (
        `a frame of ${sampleRate} Hz and ${numChannels} channels was captured, ` +
        `the source has ${this.sampleRate} Hz and ${this.numChannels} channels`
      );
    }
    if (data.length % numChannels !== 0)
      return `${data.length} values are not divisible by ${numChannels} channels`;
    if (this.queueSizeMs === 0 && data.length !== Math.floor(sampleRate / 100) * numChannels) {
      return `a source without a queue takes frames of 10 ms, not ${data.length / numChannels} samples`;
    }
    if (this.queuedMs > this.queueSizeMs + limits.unawaitedCaptures.value)
      return 'captures are not awaited: too much is queued';
    return undefined;
  }

  #onTick = {
    tick: (nowMs: number): void => {
      this.#ticks++;
      const frames =
        Math.floor((this.#ticks * this.sampleRate * tickMs) / 1000) -
        Math.floor(((this.#ticks - 1) * this.sampleRate * tickMs) / 1000);
      const samples = this.#take(frames);
      for (const sink of this.#sinks) sink.onAudio(samples, nowMs);
      if (this.queuedMs <= this.queueSizeMs) {
        this.#resolveWaiting();
        if (this.#ring?.takeWaiting()) this.#onRoom();
      }
      this.#restIfIdle();
    },
  };

  /** The next `frames` samples of every channel, the end of the queue being filled up with silence. */
  #take(frames: number): Int16Array | undefined {
    const fromRing = this.#ring?.read(this.#scratch, frames) ?? 0;
    if (fromRing === frames) return this.#scratch.subarray(0, frames * this.numChannels);
    if (fromRing === 0 && this.#queuedFrames === 0) return undefined;
    return this.#fill(fromRing * this.numChannels, frames * this.numChannels);
  }

  /** As many `values` as there are from `filled` on, then silence. */
  #fill(alreadyFilled: number, values: number): Int16Array {
    let filled = alreadyFilled;
    while (filled < values && this.#chunks.length > 0) {
      const chunk = this.#chunks[0]!;
      const part = chunk.subarray(this.#offset, this.#offset + values - filled);
      this.#scratch.set(part, filled);
      filled += part.length;
      this.#offset += part.length;
      if (this.#offset < chunk.length) break;
      this.#chunks.shift();
      this.#offset = 0;
    }
    if (filled > alreadyFilled) {
      this.#queuedFrames -= (filled - alreadyFilled) / this.numChannels;
      this.#ring?.overflowed(this.#queuedFrames);
    }
    this.#scratch.fill(0, filled, values);
    return this.#scratch.subarray(0, values);
  }

  #dropQueued(): void {
    this.#chunks = [];
    this.#offset = 0;
    this.#queuedFrames = 0;
    this.#ring?.clear();
    this.#ring?.overflowed(0);
  }

  #resolveWaiting(): void {
    if (this.#waiting.length === 0) return;
    for (const capture of this.#waiting.splice(0)) capture.resolve();
  }

  get #allQueuedFrames(): number {
    return this.#queuedFrames + (this.#ring?.queuedFrames ?? 0);
  }

  #restIfIdle(): void {
    if (this.#sinks.size > 0 || this.#allQueuedFrames > 0) return;
    this.#ring?.setAwake(false);
    // Written between the two: the other thread still believed that the ring is read.
    if (this.#allQueuedFrames > 0) this.#ring?.setAwake(true);
    else this.#ticker.remove(this.#onTick);
  }
}
