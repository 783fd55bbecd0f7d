/**
 * How much a client may ask for in a time: a bucket of tokens that fills at a steady rate. Pure: the caller says when.
 */
export class RequestBudget {
  readonly #perSecond: number;
  readonly #burst: number;
  #tokens: number;
  #atMs: number;

  constructor(perSecond: number, burst: number, nowMs: number) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#tokens = burst;
    this.#atMs = nowMs;
  }

  /**
   * Takes what one request costs. The bucket may go below empty, which the next request has to wait for, but never for
   * longer than it takes to fill twice.
   */
  spend(cost: number, nowMs: number): void {
    this.#refill(nowMs);
    this.#tokens = Math.max(-2 * this.#burst, this.#tokens - cost);
  }

  /** Milliseconds until the next request may be taken; 0 when it may be now. */
  waitMs(nowMs: number): number {
    this.#refill(nowMs);
    return this.#tokens > 0 ? 0 : Math.ceil(((1 - this.#tokens) * 1000) / this.#perSecond);
  }

  /** Whether more than a whole bucket was taken that was not there. */
  isOverdrawn(nowMs: number): boolean {
    this.#refill(nowMs);
    return this.#tokens < -this.#burst;
  }

  #refill(nowMs: number): void {
    const earned = ((nowMs - this.#atMs) * this.#perSecond) / 1000;
    this.#tokens = Math.min(this.#burst, this.#tokens + Math.max(0, earned));
    this.#atMs = nowMs;
  }
}
