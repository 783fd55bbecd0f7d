interface BackOffOptions {
  baseMs: number;
  maxMs: number;
  /** 0 to 1. */
  random: () => number;
}

/**
 * How long to wait before an attempt: exponential, with full jitter, so that the clients of a server that was
 * restarted do not come back all at once.
 *
 * @param attempt from 1; the first one begins at once
 */
export function backOffMs(attempt: number, { baseMs, maxMs, random }: BackOffOptions): number {
  if (attempt <= 1) return 0;
  return random() * Math.min(maxMs, baseMs * 2 ** (attempt - 2));
}
