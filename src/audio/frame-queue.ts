import { describeError } from '../errors/index.js';
import type { Logger } from '../logging/index.js';
import type { AudioFrame } from './frame.js';

/** A consumer that is too slow all the time is warned of at every so many frames. */
const framesPerWarning = 100;

/** Hands frames to a consumer one at a time; while it is busy they wait, and beyond a limit the oldest are dropped. */
export class FrameQueue {
  framesDelivered = 0;
  framesDropped = 0;
  #onFrame: (frame: AudioFrame) => void | Promise<void>;
  #limit: number;
  #log: Logger;
  #waiting: AudioFrame[] = [];
  #busy = false;
  #closed = false;

  /** @param limit 0 keeps every frame */
  constructor(limit: number, onFrame: (frame: AudioFrame) => void | Promise<void>, log: Logger) {
    this.#log = log;
    this.#limit = limit;
    this.#onFrame = onFrame;
  }

  push(frame: AudioFrame): void {
    if (this.#closed) return;
    if (!this.#busy) {
      this.#deliver(frame);
      return;
    }
    this.#waiting.push(frame);
    if (this.#limit === 0 || this.#waiting.length <= this.#limit) return;
    this.#waiting.shift();
    if (this.framesDropped % framesPerWarning === 0) {
      this.#log.warn(
        `the program reads audio too slowly: more than ${this.#limit} frames wait for it; the oldest are dropped`,
      );
    }
    this.framesDropped++;
  }

  close(): void {
    this.#closed = true;
    this.#waiting = [];
  }

  #deliver(frame: AudioFrame): void {
    this.framesDelivered++;
    try {
      const pending = this.#onFrame(frame);
      // A consumer in plain JavaScript may return anything.
      if (pending instanceof Promise) this.#waitFor(pending);
    } catch (error) {
      this.#log.warn(`the program's frame handler failed: ${describeError(error)}`);
    }
  }

  #waitFor(pending: Promise<void>): void {
    this.#busy = true;
    const next = () => {
      this.#busy = false;
      while (!this.#busy && this.#waiting.length > 0) this.#deliver(this.#waiting.shift()!);
    };
    pending.then(next, next);
  }
}
