import { candidateAddress, type IceCandidate } from '../../transport/index.js';

/**
 * Tells the server our candidates. The ICE library gathers none on the loopback interface: a server on this machine
 * would see our checks come from an address that it was not told of, and wait a second for a better one.
 */
export class LocalCandidates {
  #send: (candidate: IceCandidate) => void;
  /** Candidates that wait for `release`; undefined once they need not. */
  #held: IceCandidate[] | undefined;
  #host: IceCandidate | undefined;
  #loopback: '127.0.0.1' | '::1' | undefined;
  #told = false;

  /**
   * @param hold keep candidates until `release`: a server that checks them before we have its answer can finish DTLS
   *   before its fingerprint is known to us, which the WebRTC library takes for a forged certificate
   */
  constructor(send: (candidate: IceCandidate) => void, { hold = false } = {}) {
    this.#held = hold ? [] : undefined;
    this.#send = (candidate) => {
      if (this.#held) this.#held.push(candidate);
      else send(candidate);
    };
  }

  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const candidate of held) this.#send(candidate);
  }

  gathered(candidate: IceCandidate): void {
    const parsed = candidateAddress(candidate.candidate);
    if (parsed?.protocol === 'udp' && parsed.type === 'host') this.#host ??= candidate;
    this.#send(candidate);
    this.#tellLoopback();
  }

  /** The server has this candidate. */
  remote(candidate: IceCandidate): void {
    const address = candidateAddress(candidate.candidate)?.address;
    if (address === '127.0.0.1' || address === '::1') this.#loopback ??= address;
    this.#tellLoopback();
  }

  #tellLoopback(): void {
    if (this.#told || !this.#host || !this.#loopback) return;
    this.#told = true;
    // The socket is bound to every address: the port is the same.
    const fields = this.#host.candidate.split(' ');
    fields[0] = 'candidate:99';
    fields[4] = this.#loopback;
    this.#send({ ...this.#host, candidate: fields.join(' ') });
  }
}
