import type { SipRequest, SipResponse } from '../message/index.js';
import { Retransmission, timers } from './timers.js';

export interface ServerTransactionOptions {
  request: SipRequest;
  /** TCP or TLS: nothing is retransmitted. */
  reliable: boolean;
  nowMs: number;
  send(response: SipResponse): void;
  /** No ACK came for a refusal in 32 s; the transaction is over. */
  onUnacknowledged?(): void;
}

type State = 'trying' | 'proceeding' | 'completed' | 'confirmed' | 'accepted' | 'terminated';

/**
 * The server's side of one request, with or without INVITE (RFC 3261, section 17.2; RFC 6026 for 2xx). It repeats its
 * last response when the request is repeated, and retransmits refusals of an INVITE until they are acknowledged. A 2xx
 * to an INVITE is retransmitted by the call, since its ACK is a transaction of its own.
 */
export class ServerTransaction {
  readonly request: SipRequest;
  readonly #options: ServerTransactionOptions;
  #state: State;
  #last: SipResponse | undefined;
  #retransmission: Retransmission | undefined;
  #endsMs = Number.POSITIVE_INFINITY;

  constructor(options: ServerTransactionOptions) {
    this.#options = options;
    this.request = options.request;
    this.#state = options.request.method === 'INVITE' ? 'proceeding' : 'trying';
  }

  get isInvite(): boolean {
    return this.request.method === 'INVITE';
  }

  get state(): State {
    return this.#state;
  }

  /** Whether a final response was given. */
  get isAnswered(): boolean {
    return this.#state !== 'trying' && this.#state !== 'proceeding';
  }

  /** Absolute time of the next timeout; undefined when there is none. */
  get nextTimeoutMs(): number | undefined {
    const nextMs = Math.min(this.#endsMs, this.#retransmission?.nextMs ?? Number.POSITIVE_INFINITY);
    return Number.isFinite(nextMs) ? nextMs : undefined;
  }

  /** The request came once more. */
  repeat(): void {
    if (this.#state === 'accepted' || this.#state === 'confirmed' || this.#state === 'terminated') return;
    if (this.#last) this.#options.send(this.#last);
  }

  /** An ACK that belongs to a refusal of this INVITE. */
  acknowledge(nowMs: number): void {
    if (this.#state !== 'completed' || !this.isInvite) return;
    this.#state = 'confirmed';
    this.#retransmission = undefined;
    this.#endsMs = this.#options.reliable ? nowMs : nowMs + timers.t4;
  }

  /** Sends a response; one after the final response is ignored. */
  respond(response: SipResponse, nowMs: number): void {
    if (this.isAnswered) return;
    this.#last = response;
    this.#options.send(response);
    if (response.status < 200) {
      this.#state = 'proceeding';
      return;
    }
    const { reliable } = this.#options;
    if (!this.isInvite) {
      this.#state = 'completed';
      this.#endsMs = reliable ? nowMs : nowMs + timers.transaction;
    } else if (response.status < 300) {
      this.#state = 'accepted';
      this.#endsMs = nowMs + timers.transaction;
    } else {
      this.#state = 'completed';
      this.#retransmission = new Retransmission(nowMs, reliable, timers.t2);
    }
  }

  /** Sends a final response once; the transaction is over. */
  refuse(response: SipResponse): void {
    if (this.isAnswered) return;
    this.#options.send(response);
    this.#state = 'terminated';
  }

  /** Sends a 2xx to an INVITE once more, which the call does until it is acknowledged. */
  sendAgain(response: SipResponse): void {
    this.#options.send(response);
  }

  handleTimeout(nowMs: number): void {
    if (nowMs >= this.#endsMs) this.#state = 'terminated';
    const due = this.#state === 'completed' ? this.#retransmission?.due(nowMs) : undefined;
    if (due === 'send' && this.#last) this.#options.send(this.#last);
    if (due !== 'give-up') return;
    this.#state = 'terminated';
    this.#options.onUnacknowledged?.();
  }
}
