import { timerMs } from '../limits.js';

/** Time and timers, passed in so that a test can hold them. */
export interface Clock {
  /** Monotonic milliseconds. */
  nowMs(): number;
  /** Milliseconds since 1970, for NTP times. */
  wallClockMs(): number;
  /** Calls back once after `delayMs`, or after the longest time that a timer takes; returns what cancels it. */
  schedule(callback: () => void, delayMs: number): () => void;
  /** Calls back once, after the packets that already wait have been handed over. */
  afterInput(callback: () => void): () => void;
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  wallClockMs: () => Date.now(),
  schedule: (callback, delayMs) => {
    const timer = setTimeout(callback, timerMs(delayMs));
    return () => clearTimeout(timer);
  },
  afterInput: (callback) => {
    const immediate = setImmediate(callback);
    return () => clearImmediate(immediate);
  },
};
