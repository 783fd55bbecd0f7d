import { limits } from '../limits.js';
import { OffhookError } from '../timeline/index.js';
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
    return (this.#queuedFrames * 1000) / this.sampleRate;
  }

  /**
   * Queues a frame. Resolves when no more than the queue's size is waiting, which paces the program.
   *
   * @throws OffhookError `OFFHOOK_INVALID_REQUEST` when the frame's format is not the source's, `OFFHOOK_CLOSED`.
   */
  async captureFrame(frame: AudioFrame): Promise<void> {
    this.#check(frame);
    if (frame.data.length === 0) return;
    if (this.queueSizeMs === 0) {
      const nowMs = this.#ticker.clock.nowMs();
      for (const sink of this.#sinks) sink.onAudio(frame.data, nowMs);
      return;
    }
    this.#chunks.push(frame.data.slice());
    this.#queuedFrames += frame.data.length / this.numChannels;
    this.#ticker.add(this.#onTick);
    if (this.queuedMs <= this.queueSizeMs) return;
    await new Promise<void>((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** Drops what is queued; captures that wait resolve. */
  clearQueue(): void {
    this.#chunks = [];
    this.#offset = 0;
    this.#queuedFrames = 0;
    this.#resolveWaiting();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#ticker.remove(this.#onTick);
    this.#chunks = [];
    this.#queuedFrames = 0;
    this.#sinks.clear();
    const error = new OffhookError('OFFHOOK_CLOSED', 'audio source: closed');
    for (const capture of this.#waiting.splice(0)) capture.reject(error);
  }

  /** Begins to feed `sink`, every 10 ms from now on. */
  attach(sink: AudioSink): void {
    if (this.#closed) return;
    this.#sinks.add(sink);
    if (this.queueSizeMs > 0) this.#ticker.add(this.#onTick);
  }

  detach(sink: AudioSink): void {
    this.#sinks.delete(sink);
    this.#restIfIdle();
  }

  #check(frame: AudioFrame): void {
    if (this.#closed) throw new OffhookError('OFFHOOK_CLOSED', 'audio source: closed');
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
      if (this.#waiting.length > 0 && this.queuedMs <= this.queueSizeMs) this.#resolveWaiting();
      this.#restIfIdle();
    },
  };

  /** The next `frames` samples of every channel, the end of the queue being filled up with silence. */
  #take(frames: number): Int16Array | undefined {
    if (this.#queuedFrames === 0) return undefined;
    const values = frames * this.numChannels;
    const first = this.#chunks[0]!;
    if (first.length - this.#offset > values) {
      this.#offset += values;
      this.#queuedFrames -= frames;
      return first.subarray(this.#offset - values, this.#offset);
    }
    let filled = 0;
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
    this.#queuedFrames -= filled / this.numChannels;
    this.#scratch.fill(0, filled, values);
    return this.#scratch.subarray(0, values);
  }

  #resolveWaiting(): void {
    for (const capture of this.#waiting.splice(0)) capture.resolve();
  }

  #restIfIdle(): void {
    if (this.#sinks.size === 0 && this.#queuedFrames === 0) this.#ticker.remove(this.#onTick);
  }
}
