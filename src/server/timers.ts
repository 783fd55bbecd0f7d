import { timerMs } from '../limits.js';
import { Boundary } from './boundary.js';

/** A timer that can be cancelled; cancelling twice, or after it has fired, changes nothing. */
export interface Timer {
  cancel(): void;
}

/** A timer that fires once. */
export interface Timeout extends Timer {
  /** Counts the whole delay from now again. Costs no system timer, so it may be called for every message. */
  restart(): void;
}

interface TimeoutOptions {
  /** Whether the timer keeps the process running. Default true. */
  keepsProcess?: boolean;
}

/**
 * Calls `act` once after `delayMs`, which may be any number of milliseconds: longer than Node's timers take, or
 * Infinity for never. An exception in `act` is logged under `name` and goes no further.
 */
export function startTimeout(
  name: string,
  delayMs: number,
  act: () => void,
  { keepsProcess = true }: TimeoutOptions = {},
): Timeout {
  const fire = new Boundary(name).wrap('timer', act);
  let timer: NodeJS.Timeout | undefined;
  let dueMs = 0;
  const wait = () => {
    const remainingMs = Math.max(0, Math.ceil(dueMs - performance.now()));
    timer = setTimeout(() => {
      if (performance.now() < dueMs) wait();
      else fire();
    }, timerMs(remainingMs));
    if (!keepsProcess) timer.unref();
  };
  const restart = () => {
    dueMs = performance.now() + delayMs;
  };
  restart();
  // NaN compares as false: a delay that is no number is never due.
  if (delayMs < Number.POSITIVE_INFINITY) wait();
  return { restart, cancel: () => clearTimeout(timer) };
}

/** Calls `act` every `intervalMs` until it is cancelled. An exception in one call does not end the others. */
export function startInterval(name: string, intervalMs: number, act: () => void): Timer {
  const timer = setInterval(new Boundary(name).wrap('timer', act), intervalMs);
  return { cancel: () => clearInterval(timer) };
}
