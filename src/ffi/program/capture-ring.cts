import type { CaptureRing as RingOfSource } from '../../audio/index.js' with { 'resolution-mode': 'import' };

/** The 32-bit words before the samples. Positions count samples per channel, modulo 2^32. */
const word = {
  /** Position behind what was written; the program's thread writes it. */
  written: 0,
  /** Position of what is played next; both threads write it, by comparing and exchanging. */
  read: 1,
  /** 1 while a capture waits for room. */
  waiting: 2,
  /** 1 while the engine reads at every tick, 2 once it was asked to. */
  awake: 3,
  /** Samples per channel that came by message and are not played yet. */
  overflow: 4,
  /** How many captures that came by message the engine has taken. */
  taken: 5,
};
const headerBytes = 64;
const sampleBytes = 2;

/** More than this does not wait in shared memory: what does not fit goes by message. */
const maxCapacityFrames = 2 ** 20;

/**
 * Samples on their way from the program's thread to the engine's, in memory that both see. One thread writes, one
 * reads; nobody waits, and nobody is woken for them.
 */
class CaptureRing implements RingOfSource {
  readonly buffer: SharedArrayBuffer;
  readonly numChannels: number;
  #words: Int32Array;
  #samples: Int16Array;
  #capacityFrames: number;

  /** @param buffer made by `create`, in either thread */
  constructor(buffer: SharedArrayBuffer, numChannels: number) {
    this.buffer = buffer;
    this.numChannels = numChannels;
    this.#words = new Int32Array(buffer, 0, headerBytes / 4);
    this.#samples = new Int16Array(buffer, headerBytes);
    this.#capacityFrames = this.#samples.length / numChannels;
  }

  /** A ring for at least `frames` samples per channel, up to a limit. */
  static create(numChannels: number, frames: number): CaptureRing {
    // A power of two, so that positions may wrap around.
    const capacity = Math.min(maxCapacityFrames, 2 ** Math.ceil(Math.log2(frames)));
    return new CaptureRing(
      new SharedArrayBuffer(headerBytes + capacity * numChannels * sampleBytes),
      numChannels,
    );
  }

  /** Samples per channel that wait. */
  get queuedFrames(): number {
    return (Atomics.load(this.#words, word.written) - Atomics.load(this.#words, word.read)) | 0;
  }

  clear(): void {
    const written = Atomics.load(this.#words, word.written);
    let read = Atomics.load(this.#words, word.read);
    while (true) {
      const found = Atomics.compareExchange(this.#words, word.read, read, written);
      if (found === read) return;
      read = found;
    }
  }

  // The program's thread:

  /** Appends `samples`; false, and nothing is written, when there is no room for all of them. */
  write(samples: Int16Array): boolean {
    const frames = samples.length / this.numChannels;
    if (frames > this.#capacityFrames - this.queuedFrames) return false;
    const written = Atomics.load(this.#words, word.written);
    const at = this.#indexOf(written);
    const untilEnd = Math.min(samples.length, this.#samples.length - at);
    this.#samples.set(untilEnd === samples.length ? samples : samples.subarray(0, untilEnd), at);
    if (untilEnd < samples.length) this.#samples.set(samples.subarray(untilEnd), 0);
    Atomics.store(this.#words, word.written, (written + frames) | 0);
    return true;
  }

  /** To be asked after a write. Whether the engine must be told: it does not read, and was not told yet. */
  mustWake(): boolean {
    return Atomics.compareExchange(this.#words, word.awake, 0, 2) === 0;
  }

  /** Asks the engine to say when there is room. */
  wait(): void {
    Atomics.store(this.#words, word.waiting, 1);
  }

  /** Samples per channel that went by message and are not played yet. */
  get overflowFrames(): number {
    return Atomics.load(this.#words, word.overflow);
  }

  /** How many of the captures that went by message the engine has taken. */
  get capturesTaken(): number {
    return Atomics.load(this.#words, word.taken);
  }

  // The engine's thread:

  read(target: Int16Array, frames: number): number {
    const position = Atomics.load(this.#words, word.read);
    const waiting = (Atomics.load(this.#words, word.written) - position) | 0;
    const taken = Math.min(frames, waiting);
    if (taken <= 0) return 0;
    const at = this.#indexOf(position);
    const end = at + taken * this.numChannels;
    target.set(this.#samples.subarray(at, end));
    if (end > this.#samples.length) {
      target.set(this.#samples.subarray(0, end - this.#samples.length), this.#samples.length - at);
    }
    const next = (position + taken) | 0;
    // It was cleared meanwhile, and perhaps overwritten: what was read must not be played.
    return Atomics.compareExchange(this.#words, word.read, position, next) === position ? taken : 0;
  }

  takeWaiting(): boolean {
    return (
      Atomics.load(this.#words, word.waiting) === 1 && Atomics.exchange(this.#words, word.waiting, 0) === 1
    );
  }

  setAwake(awake: boolean): void {
    Atomics.store(this.#words, word.awake, awake ? 1 : 0);
  }

  overflowed(frames: number): void {
    Atomics.store(this.#words, word.overflow, frames);
  }

  countCapture(): void {
    Atomics.add(this.#words, word.taken, 1);
  }

  #indexOf(position: number): number {
    return (position & (this.#capacityFrames - 1)) * this.numChannels;
  }
}

export = CaptureRing;
