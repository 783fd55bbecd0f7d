import { createLogger, describeError } from '../../timeline/index.js';
import { candidateLikelihood, type IceCandidate } from '../../transport/index.js';

const log = createLogger('room/ice');
/** Candidates come in a burst: this long after the first one, the likeliest of them is known. */
const gatherMs = 3;

/**
 * Hands the server's candidates to a peer connection: once it has the server's description, and the likeliest first, as
 * the first that answers is chosen.
 */
export class CandidateFeed {
  #add: (candidate: IceCandidate) => void;
  #onFirst: () => void;
  #waiting: IceCandidate[] = [];
  #ready = false;
  #fedFirst = false;
  #timer: NodeJS.Timeout | undefined;

  /** @param onFirst the first candidate has been handed over */
  constructor(add: (candidate: IceCandidate) => void, onFirst: () => void = () => {}) {
    this.#add = add;
    this.#onFirst = onFirst;
  }

  push(candidate: IceCandidate): void {
    if (candidate.candidate === '') return;
    this.#waiting.push(candidate);
    if (this.#ready && !this.#timer) this.#schedule(gatherMs);
  }

  /**
   * The connection has the server's description: candidates may go in.
   *
   * @param afterMs later than now: a first check that reaches a server which has not read our answer is lost
   */
  ready(afterMs = 0): void {
    if (this.#ready) return;
    this.#ready = true;
    if (this.#waiting.length > 0 || afterMs > 0) this.#schedule(Math.max(afterMs, gatherMs));
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#waiting = [];
  }

  #schedule(delayMs: number): void {
    this.#timer = setTimeout(() => this.#feed(), delayMs);
  }

  #feed(): void {
    this.#timer = undefined;
    this.#waiting.sort((a, b) => candidateLikelihood(b.candidate) - candidateLikelihood(a.candidate));
    const now = this.#waiting.splice(0);
    for (const candidate of now) this.#addOne(candidate);
    if (this.#fedFirst || now.length === 0) return;
    this.#fedFirst = true;
    this.#onFirst();
  }

  #addOne(candidate: IceCandidate): void {
    try {
      this.#add(candidate);
    } catch (error) {
      log.warn(`a candidate of the server is not usable: ${describeError(error)}`);
    }
  }
}

/** A description without its candidates, and those: they go in when and in the order in which they do most good. */
export function takeCandidates(sdp: string): { sdp: string; candidates: IceCandidate[] } {
  const candidates = new Map<string, IceCandidate>();
  const lines = sdp.split(/\r\n|\n/);
  let sdpMid = '0';
  for (const line of lines) {
    if (line.startsWith('a=mid:')) sdpMid = line.slice('a=mid:'.length);
    if (!line.startsWith('a=candidate:')) continue;
    const candidate = line.slice('a='.length);
    // Every media section repeats them.
    if (!candidates.has(candidate)) candidates.set(candidate, { candidate, sdpMid });
  }
  const rest = lines.filter((line) => !line.startsWith('a=candidate:') && line !== 'a=end-of-candidates');
  return { sdp: rest.join('\r\n'), candidates: [...candidates.values()] };
}
