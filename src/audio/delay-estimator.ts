const bucketMs = 5;
const maxDelayMs = 1_000;
const buckets = maxDelayMs / bucketMs;
/** A packet's weight halves in some 400 later ones (8 s). */
const forget = 0.9983;
const quantile = 0.985;
/** Playout happens on a 10 ms beat, so a packet that is just in time needs as much room. */
const slackMs = 8;
const minTargetMs = 20;
const maxTargetMs = 500;
const windowMs = 4_000;
const windows = 4;

/**
 * How much later than the fastest ones packets arrive, and the delay that lets nearly all of them be in time. The
 * fastest transit is forgotten after some 16 s, so a sender's clock may drift against ours.
 */
export class DelayEstimator {
  #histogram = new Float64Array(buckets + 1);
  #total = 0;
  /** Weight of the next sample; growing it is cheaper than shrinking all others. */
  #weight = 1;
  #minima: number[] = [];
  #windowStartMs = Number.NEGATIVE_INFINITY;
  #targetMs = minTargetMs;

  /** Delay to aim for between the arrival of the fastest packets and playout. */
  get targetMs(): number {
    return this.#targetMs;
  }

  /** Smallest difference between arrival and media time lately, in ms; undefined before the first packet. */
  get minTransitMs(): number | undefined {
    return this.#minima.length > 0 ? Math.min(...this.#minima) : undefined;
  }

  /** Forgets the fastest transit, for example when media time restarts. */
  startTimeline(): void {
    this.#minima = [];
  }

  /**
   * @param transitMs arrival time minus media time
   * @param counts false for a packet that only shared the delay of the one before (a burst after a stall)
   */
  observe(transitMs: number, nowMs: number, counts: boolean): void {
    if (nowMs - this.#windowStartMs >= windowMs || this.#minima.length === 0) {
      this.#windowStartMs = nowMs;
      this.#minima.push(transitMs);
      if (this.#minima.length > windows) this.#minima.shift();
    } else if (transitMs < this.#minima.at(-1)!) {
      this.#minima[this.#minima.length - 1] = transitMs;
    }
    if (!counts) return;
    const delayMs = Math.max(0, transitMs - this.minTransitMs!);
    this.#histogram[Math.min(buckets, Math.floor(delayMs / bucketMs))]! += this.#weight;
    this.#total += this.#weight;
    this.#weight /= forget;
    if (this.#weight > 1e12) this.#rescale();
    this.#targetMs = this.#computeTarget();
  }

  #computeTarget(): number {
    let above = this.#total * (1 - quantile);
    let bucket = buckets;
    while (bucket > 0 && above >= this.#histogram[bucket]!) {
      above -= this.#histogram[bucket]!;
      bucket--;
    }
    const delayMs = (bucket + 1) * bucketMs + slackMs;
    return Math.min(maxTargetMs, Math.max(minTargetMs, delayMs));
  }

  #rescale(): void {
    for (let i = 0; i <= buckets; i++) this.#histogram[i]! /= this.#weight;
    this.#total /= this.#weight;
    this.#weight = 1;
  }
}
