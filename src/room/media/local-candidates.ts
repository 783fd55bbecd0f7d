import { candidateAddress, type IceCandidate } from '../../transport/index.js';

/**
 * Tells the server our candidates. The ICE library gathers none on the loopback interface: a server on this machine
 * would see our checks come from an address that it was not told of, and wait a second for a better one.
 */
export class LocalCandidates {
  #send: (candidate: IceCandidate) => void;
  #host: IceCandidate | undefined;
  #loopback: '127.0.0.1' | '::1' | undefined;
  #told = false;

  constructor(send: (candidate: IceCandidate) => void) {
    this.#send = send;
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
