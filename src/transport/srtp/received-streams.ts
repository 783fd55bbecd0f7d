import { ReplayWindow } from '../replay-window.js';

/** The replay windows of what one SSRC of the peer sent. */
export class ReceivedStream {
  readonly rtp = new ReplayWindow();
  readonly rtcp = new ReplayWindow();
  lastUse = 0;
}

/**
 * The streams of a peer by SSRC. Only authentic packets add one; the one that was silent for the longest goes when
 * there are too many, so that a peer that changes its SSRC with each packet costs a bounded amount of memory.
 */
export class ReceivedStreams {
  readonly #limit: number;
  readonly #streams = new Map<number, ReceivedStream>();
  #uses = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#streams.size;
  }

  get(ssrc: number): ReceivedStream | undefined {
    return this.#streams.get(ssrc);
  }

  /** Keeps `stream` for `ssrc`, as the one used last. */
  use(ssrc: number, stream: ReceivedStream): void {
    if (stream.lastUse === 0) {
      if (this.#streams.size >= this.#limit) this.#dropOldest();
      this.#streams.set(ssrc, stream);
    }
    stream.lastUse = ++this.#uses;
  }

  #dropOldest(): void {
    let oldest = Number.POSITIVE_INFINITY;
    let oldestSsrc = 0;
    for (const [ssrc, { lastUse }] of this.#streams)
      if (lastUse < oldest) {
        oldest = lastUse;
        oldestSsrc = ssrc;
      }
    this.#streams.delete(oldestSsrc);
  }
}
