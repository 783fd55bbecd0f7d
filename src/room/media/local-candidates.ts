import { candidateAddress, type IceCandidate } from '../../transport/index.js';

/** Our own check is on its way this long after it could be made; that much later, the server may make its own. */
const afterFirstCheckMs = 10;
/** Without a candidate of the server to check, it is to check us. */
const withoutCheckMs = 150;

/**
 * Tells the server our candidates. None is gathered on the loopback interface: a server on this machine would see our
 * checks come from an address that it was not told of, and wait a second for a better one. So it is told of that, too.
 */
export class LocalCandidates {
  #send: (candidate: IceCandidate) => void;
  /** Candidates that wait for their release; undefined once they need not. */
  #held: IceCandidate[] | undefined;
  #timer: NodeJS.Timeout | undefined;
  #host: IceCandidate | undefined;
  #loopback: '127.0.0.1' | '::1' | undefined;
  /** Port of the loopback candidate that was told last. After an ICE restart there is another one. */
  #toldPort = 0;

  /**
   * @param hold until our own first check is under way: where we nominate, the server learns our address from it. Not where
   *   the server nominates: it would wait a second for a candidate that it was not told of before it was checked from there.
   */
  constructor(send: (candidate: IceCandidate) => void, { hold }: { hold: boolean }) {
    this.#held = hold ? [] : undefined;
    this.#send = (candidate) => {
      if (this.#held) this.#held.push(candidate);
      else send(candidate);
    };
  }

  /** Descriptions are exchanged: the server may check us if we do not check it soon. */
  agreed(): void {
    this.#releaseAfter(withoutCheckMs);
  }

  /** The first candidate of the server has been taken, and is being checked. */
  checking(): void {
    this.#releaseAfter(afterFirstCheckMs);
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  gathered(candidate: IceCandidate): void {
    const parsed = candidateAddress(candidate.candidate);
    if (parsed?.protocol === 'udp' && parsed.type === 'host') this.#host = candidate;
    this.#send(candidate);
    this.#tellLoopback();
  }

  /** The server has this candidate. */
  remote(candidate: IceCandidate): void {
    const address = candidateAddress(candidate.candidate)?.address;
    if (address === '127.0.0.1' || address === '::1') this.#loopback ??= address;
    this.#tellLoopback();
  }

  #releaseAfter(delayMs: number): void {
    if (!this.#held) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const held = this.#held ?? [];
      this.#held = undefined;
      for (const candidate of held) this.#send(candidate);
    }, delayMs);
  }

  #tellLoopback(): void {
    const port = this.#host && candidateAddress(this.#host.candidate)?.port;
    if (!this.#host || !this.#loopback || port === this.#toldPort) return;
    this.#toldPort = port ?? 0;
    // The socket is bound to every address: the port is the same.
    const fields = this.#host.candidate.split(' ');
    fields[0] = 'candidate:99';
    fields[4] = this.#loopback;
    this.#send({ ...this.#host, candidate: fields.join(' ') });
  }
}
