export interface JoinQueueLimits {
  /** Calls that are brought into their rooms at the same time. */
  atOnce: number;
  /** Calls that wait for their turn; more are refused. */
  waiting: number;
  /** Milliseconds: while a call has waited longer, further ones are refused. Short bursts wait, a lasting excess does not. */
  waitMs: number;
}

/**
 * The calls that are being brought into their rooms. Joining costs the gateway and the room server more than talking does:
 * when more calls begin than both can take, each join would take longer and longer, until deadlines pass and all of them
 * fail. So a few join at a time, some wait while their telephones ring, and the others are refused at once.
 */
export class JoinQueue {
  readonly #limits: JoinQueueLimits;
  #joining = 0;
  /** What begins each join that waits, the longest waiting first, and since when it waits. */
  readonly #waiting = new Map<() => void, number>();
  readonly #nowMs: () => number;

  constructor(limits: JoinQueueLimits, nowMs: () => number = () => performance.now()) {
    this.#limits = limits;
    this.#nowMs = nowMs;
  }

  /** The next call waits. */
  get isBusy(): boolean {
    return this.#joining >= this.#limits.atOnce;
  }

  /** The next call would wait longer than callers should. */
  get isFull(): boolean {
    if (!this.isBusy) return false;
    const { waiting, waitMs } = this.#limits;
    if (this.#waiting.size >= waiting) return true;
    const [sinceMs] = this.#waiting.values();
    return sinceMs !== undefined && this.#nowMs() - sinceMs > waitMs;
  }

  /**
   * Runs `join` when it is its turn, first come, first served.
   *
   * @throws what `join` throws; `abort.reason` when it was aborted before its turn
   */
  async run<Result>(abort: AbortSignal, join: () => Promise<Result>): Promise<Result> {
    abort.throwIfAborted();
    if (this.isBusy) await this.#turn(abort);
    else this.#joining++;
    try {
      return await join();
    } finally {
      this.#next();
    }
  }

  /** Resolves when a call that joins gives its place. */
  #turn(abort: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const begin = () => {
        abort.removeEventListener('abort', leave);
        resolve();
      };
      const leave = () => {
        this.#waiting.delete(begin);
        reject(abort.reason);
      };
      this.#waiting.set(begin, this.#nowMs());
      abort.addEventListener('abort', leave, { once: true });
    });
  }

  /** A place is free: for the one that has waited longest. */
  #next(): void {
    const [first] = this.#waiting.keys();
    if (!first) {
      this.#joining--;
      return;
    }
    this.#waiting.delete(first);
    first();
  }
}
