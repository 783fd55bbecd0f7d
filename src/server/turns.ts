/**
 * Work that takes turns: runs until there is no more of it or `untilMs` (of `performance.now()`) has passed, and does at
 * least one piece. Returns whether more is left.
 */
export type Turn = (untilMs: number) => boolean;

/** The longest turn: what a newcomer waits for each that is before it. */
const turnMs = 2;
/** How long turns are given before packets, timers and new connections are looked after. */
const roundMs = 10;

/**
 * Divides the server's one thread among those who have work for it. Work runs at once while nobody else waits; who has
 * used up a turn waits behind all others.
 */
export class Turns {
  #newcomers = new Set<Turn>();
  /** Those that have used up a turn. */
  #others = new Set<Turn>();
  #isRunning = false;
  /** When the turns of this round of the event loop end; undefined before its first one. */
  #roundEndMs: number | undefined;

  /** Asks for a turn. The same one is in the queue once, however often it is asked for. */
  request(turn: Turn): void {
    if (!this.#others.has(turn)) this.#newcomers.add(turn);
    this.#run();
  }

  #run(): void {
    // One turn may ask for another.
    if (this.#isRunning) return;
    this.#isRunning = true;
    let nowMs = performance.now();
    if (this.#roundEndMs === undefined) {
      this.#roundEndMs = nowMs + roundMs;
      setImmediate(() => {
        this.#roundEndMs = undefined;
        if (this.#newcomers.size + this.#others.size > 0) this.#run();
      });
    }
    try {
      while (nowMs < this.#roundEndMs) {
        const queue = this.#newcomers.size > 0 ? this.#newcomers : this.#others;
        const [turn] = queue;
        if (!turn) break;
        queue.delete(turn);
        if (turn(nowMs + turnMs)) this.#others.add(turn);
        nowMs = performance.now();
      }
    } finally {
      this.#isRunning = false;
    }
  }
}
