import type { IceCandidate } from './ice.js';

const holdMs = 100;

/**
 * Keeps the addon's candidates for a moment where it makes the offer: its own checks lead to the same connection, and a
 * check of the other side that comes first would put them off by 50 ms (libjuice).
 */
export class CandidateHold {
  #tell: (candidate: IceCandidate) => void;
  #held: IceCandidate[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(tell: (candidate: IceCandidate) => void) {
    this.#tell = tell;
  }

  push(candidate: IceCandidate): void {
    this.#held.push(candidate);
    this.#timer ??= setTimeout(() => this.release(), holdMs).unref();
  }

  release(): void {
    this.close();
    for (const candidate of this.#held.splice(0)) this.#tell(candidate);
  }

  close(): void {
    clearTimeout(this.#timer);
  }
}
