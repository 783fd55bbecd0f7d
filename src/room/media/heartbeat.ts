/** So many gaps between arrivals are known before silence means anything. */
const neededGaps = 2;
const rememberedGaps = 10;
const silentAfterMs = 3_000;
/** Silence is so many times longer than the longest gap of late, on a network that loses packets too. */
const gapFactor = 3;

/**
 * Tells from a count that grows while a path works, and did so steadily, that it has stopped: pure, time is passed in.
 * A LiveKit server reports on what we publish once a second (RTCP receiver reports), muted or not; ICE itself would
 * notice a dead path only after 15 to 30 s.
 */
export class Heartbeat {
  #gaps: number[] = [];
  #count: number | undefined;
  #lastMs = 0;

  /** @returns true once when the path has fallen silent */
  sample(count: number, nowMs: number): boolean {
    const silentMs = nowMs - this.#lastMs;
    if (count !== this.#count) {
      if (this.#count !== undefined) this.#gaps = [...this.#gaps, silentMs].slice(-rememberedGaps);
      this.#count = count;
      this.#lastMs = nowMs;
      return false;
    }
    if (this.#gaps.length < neededGaps) return false;
    if (silentMs < Math.max(silentAfterMs, gapFactor * Math.max(...this.#gaps))) return false;
    this.reset();
    return true;
  }

  /** Nothing is expected any more, or not what was. */
  reset(): void {
    this.#gaps = [];
    this.#count = undefined;
  }
}
