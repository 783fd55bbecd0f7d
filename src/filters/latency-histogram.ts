const firstBoundMs = 0.01;
const growth = 1.1;
/** The last bound lies beyond ten seconds. */
const bucketCount = 148;

/** Percentiles of durations, within 10 %, in constant memory. */
export class LatencyHistogram {
  #counts = new Uint32Array(bucketCount);
  #total = 0;

  add(durationMs: number): void {
    const bucket = Math.ceil(Math.log(Math.max(durationMs, firstBoundMs) / firstBoundMs) / Math.log(growth));
    this.#counts[Math.min(bucket, bucketCount - 1)]!++;
    this.#total++;
  }

  /** @param fraction 0.5 for the median. Returns milliseconds, or undefined when nothing was added. */
  percentile(fraction: number): number | undefined {
    if (this.#total === 0) return undefined;
    let left = Math.ceil(this.#total * fraction);
    for (let bucket = 0; bucket < bucketCount; bucket++) {
      left -= this.#counts[bucket]!;
      if (left <= 0) return firstBoundMs * growth ** bucket;
    }
    return firstBoundMs * growth ** (bucketCount - 1);
  }
}
