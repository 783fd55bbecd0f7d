/** The time is counted in so many pieces; what a piece takes longer than it should was time in which this process did not run. */
const pieces = 8;
/** Timers are due a millisecond late or so, which would make shorter pieces count for less than they took. */
const shortestPieceMs = 20;

/**
 * Calls `onPassed` once this process has had `timeoutMs` to itself. Time in which it did not run does not count: where many
 * processes start at once, or the machine slept, the answer may have come long ago, and would be read right after a timer had
 * given it up.
 */
export class DeadlineTimer {
  #timeoutMs: number;
  #pieceMs: number;
  #onPassed: () => void;
  #leftMs: number;
  /** From when on the piece that runs counts. */
  #countedMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #lastTurn: NodeJS.Immediate | undefined;

  constructor(timeoutMs: number, onPassed: () => void) {
    this.#timeoutMs = timeoutMs;
    this.#pieceMs = Math.max(timeoutMs / pieces, shortestPieceMs);
    this.#onPassed = onPassed;
    this.#leftMs = timeoutMs;
    this.#wait();
  }

  /** Counts the whole time from now again. Costs no system timer, so it may be called for every message. */
  restart(): void {
    this.#leftMs = this.#timeoutMs;
    this.#countedMs = performance.now();
  }

  stop(): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#lastTurn);
  }

  #wait(): void {
    this.#countedMs = performance.now();
    this.#timer = setTimeout(() => this.#count(), Math.min(this.#leftMs, this.#pieceMs));
  }

  #count(): void {
    this.#leftMs -= Math.min(performance.now() - this.#countedMs, this.#pieceMs);
    if (this.#leftMs > 0) this.#wait();
    // What has come already is read first.
    else this.#lastTurn = setImmediate(() => this.#onPassed());
  }
}
