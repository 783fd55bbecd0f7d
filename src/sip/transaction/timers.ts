/** Times of RFC 3261, section 17.1.1.1, in milliseconds. */
export const timers = {
  /** An estimate of the round trip, from which the others derive. */
  t1: 500,
  /** The longest interval between retransmissions of requests other than INVITE, and of responses to INVITE. */
  t2: 4_000,
  /** How long a message can stay in the network. */
  t4: 5_000,
  /** How long a request is retransmitted before it has failed, and an answer before nobody acknowledges it. */
  transaction: 64 * 500,
  /** How long an INVITE transaction stays to absorb repeated refusals (timer D). */
  absorb: 32_000,
} as const;

/**
 * The retransmissions of one message and the time at which they are given up, as a pure value: what is due next is read
 * from `nextMs`.
 */
export class Retransmission {
  #intervalMs: number;
  #maxIntervalMs: number;
  #dueMs: number;
  readonly giveUpMs: number;

  /** @param reliable nothing is retransmitted over TCP and TLS; giving up remains */
  constructor(nowMs: number, reliable: boolean, maxIntervalMs: number, intervalMs: number = timers.t1) {
    this.#intervalMs = intervalMs;
    this.#maxIntervalMs = maxIntervalMs;
    this.#dueMs = reliable ? Number.POSITIVE_INFINITY : nowMs + intervalMs;
    this.giveUpMs = nowMs + timers.transaction;
  }

  get nextMs(): number {
    return Math.min(this.#dueMs, this.giveUpMs);
  }

  /** What is to be done at `nowMs`; the interval doubles with every retransmission, up to its maximum. */
  due(nowMs: number): 'give-up' | 'send' | undefined {
    if (nowMs >= this.giveUpMs) return 'give-up';
    if (nowMs < this.#dueMs) return undefined;
    this.#intervalMs = Math.min(this.#intervalMs * 2, this.#maxIntervalMs);
    this.#dueMs = nowMs + this.#intervalMs;
    return 'send';
  }

  /** The peer is known to work on it: after the next time, at the longest interval (RFC 3261, section 17.1.2.2). */
  slowDown(): void {
    this.#intervalMs = this.#maxIntervalMs;
  }
}
