const windowMs = 1_000;

/** Frames of about the last second. */
export class FrameRate {
  #fromMs: number | undefined;
  #count = 0;
  #lastPerSecond = 0;

  /** Once for each frame. */
  count(nowMs: number): void {
    this.#fromMs ??= nowMs;
    const elapsedMs = nowMs - this.#fromMs;
    if (elapsedMs >= windowMs) {
      this.#lastPerSecond = (this.#count * 1_000) / elapsedMs;
      this.#fromMs = nowMs;
      this.#count = 0;
    }
    this.#count++;
  }

  perSecond(nowMs: number): number {
    if (this.#fromMs === undefined) return 0;
    const elapsedMs = nowMs - this.#fromMs;
    // No whole second yet, or a pause.
    const isCurrent = this.#lastPerSecond > 0 && elapsedMs < 2 * windowMs;
    if (isCurrent) return this.#lastPerSecond;
    return elapsedMs > 0 ? (this.#count * 1_000) / Math.max(windowMs, elapsedMs) : 0;
  }
}
