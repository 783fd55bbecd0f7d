import type { Logger } from '../logging/index.js';

const minuteMs = 60_000;

/**
 * Shows so many lines of one cause in a minute. The others are for debugging: nobody outside can fill a disk, or hide what
 * else the log says.
 */
export class BoundedLog {
  #log: Logger;
  #perMinute: number;
  #now: () => number;
  #sinceMs = Number.NEGATIVE_INFINITY;
  #lines = 0;

  constructor(log: Logger, perMinute: number, now: () => number = () => performance.now()) {
    this.#log = log;
    this.#perMinute = perMinute;
    this.#now = now;
  }

  write(level: 'warn' | 'info', line: string): void {
    const nowMs = this.#now();
    if (nowMs - this.#sinceMs >= minuteMs) {
      this.#sinceMs = nowMs;
      this.#lines = 0;
    }
    this.#lines++;
    if (this.#lines > this.#perMinute) this.#log.debug(line);
    else this.#log[level](line);
  }
}
