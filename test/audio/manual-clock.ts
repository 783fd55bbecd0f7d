import type { Clock } from '../../src/audio/index.js';

interface Timer {
  atMs: number;
  callback: () => void;
}

/** Time that passes only when a test says so. */
export class ManualClock implements Clock {
  #nowMs = 1_000;
  #timers = new Set<Timer>();

  nowMs = (): number => this.#nowMs;

  wallClockMs = (): number => 1_700_000_000_000 + this.#nowMs;

  schedule = (callback: () => void, delayMs: number): (() => void) => {
    const timer = { atMs: this.#nowMs + delayMs, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  };

  afterInput = (callback: () => void): (() => void) => this.schedule(callback, 0);

  get pendingTimers(): number {
    return this.#timers.size;
  }

  /** Runs every timer that is due until then, each at its time. */
  advanceTo(untilMs: number): void {
    for (;;) {
      let next: Timer | undefined;
      for (const timer of this.#timers) {
        if (timer.atMs <= untilMs && (!next || timer.atMs < next.atMs)) next = timer;
      }
      if (!next) break;
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.callback();
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  advance(ms: number): void {
    this.advanceTo(this.#nowMs + ms);
  }

  /** Jumps without running anything, as when the process was held up. */
  stall(ms: number): void {
    this.#nowMs += ms;
  }
}
