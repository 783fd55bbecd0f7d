const delaysMs = [250, 1_000, 4_000] as const;
/** A host that has lived this long has earned a fresh start. */
const forgetAfterMs = 10 * 60_000;

/** How often, and after which pause, a host that ended is started again. */
export class RestartPolicy {
  #used = 0;
  #lastMs = Number.NEGATIVE_INFINITY;

  /** Milliseconds to wait before the next start, or undefined when there have been enough. */
  next(nowMs: number): number | undefined {
    if (nowMs - this.#lastMs > forgetAfterMs) this.#used = 0;
    const delayMs = delaysMs[this.#used];
    if (delayMs === undefined) return undefined;
    this.#used++;
    this.#lastMs = nowMs;
    return delayMs;
  }
}
