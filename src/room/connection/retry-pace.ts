const baseMs = 150;
const maxMs = 3_000;
const hastyAttempts = 4;
const hastyAnswerMs = 1_000;

interface Retry {
  /** Before the attempt begins. */
  waitMs: number;
  /** For the attempt to get to the server's answer. */
  limitMs: number;
  /** For the server to accept the WebSocket, once it is connected to; undefined where its deadline is short enough. */
  answerMs: number | undefined;
}

/** When a room that lost its connection tries again, and how patiently. Pure: randomness is passed in. */
export class RetryPace {
  #random: () => number;
  #attempts = 0;
  /** How many in a row tried the same: to resume, or to reconnect. */
  #sameTarget = 0;

  /** @param random 0 to 1 */
  constructor(random: () => number) {
    this.#random = random;
  }

  /** Since the connection was lost. */
  get attempts(): number {
    return this.#attempts;
  }

  /** The connection was lost. */
  begin(): void {
    this.#attempts = 0;
    this.#sameTarget = 0;
  }

  /** What is tried from now on, resuming or reconnecting, has not failed yet. */
  resetTarget(): void {
    this.#sameTarget = 0;
  }

  /**
   * Counts an attempt. The first begins at once, those after it wait: exponentially longer, with full jitter, so that the
   * clients of a server that was restarted do not come back all at once.
   */
  next(): Retry {
    this.#attempts++;
    this.#sameTarget++;
    const longestMs = this.#sameTarget === 1 ? 0 : Math.min(maxMs, baseMs * 2 ** (this.#sameTarget - 2));
    return {
      waitMs: this.#random() * longestMs,
      // Early attempts are short: when the network comes back, one that began while it was away would still wait.
      limitMs: 1_500 + 500 * this.#attempts,
      // A cluster of servers takes a node that died for alive until 5 s after its last report. It lets a client that
      // asks for a room of that node wait, and one that asks anew after that in. Later attempts are patient: the servers
      // may be overrun.
      answerMs: this.#attempts <= hastyAttempts ? hastyAnswerMs : undefined,
    };
  }
}
