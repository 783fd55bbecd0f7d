import { formatNameAddr, Headers, type SipRequest, type SipResponse } from '../message/index.js';
import { Retransmission, timers } from './timers.js';

export interface ClientTransactionOptions {
  request: SipRequest;
  /** TCP or TLS: nothing is retransmitted. */
  reliable: boolean;
  /** The connection that the request goes over; undefined for datagrams. */
  connection?: object;
  nowMs: number;
  send(request: SipRequest): void;
  /** Every provisional response, and every final one that the transaction does not absorb. */
  onResponse(response: SipResponse): void;
  /** No final response in time, or the connection ended before any response. */
  onFailed(why: string): void;
}

type State = 'calling' | 'proceeding' | 'completed' | 'accepted' | 'terminated';

/** The client's side of one request, with or without INVITE (RFC 3261, section 17.1; RFC 6026 for 2xx). */
export class ClientTransaction {
  readonly request: SipRequest;
  readonly #options: ClientTransactionOptions;
  #state: State = 'calling';
  #retransmission: Retransmission | undefined;
  #ack: SipRequest | undefined;
  #endsMs = Number.POSITIVE_INFINITY;

  /** Sends the request. */
  constructor(options: ClientTransactionOptions) {
    this.#options = options;
    this.request = options.request;
    const maxIntervalMs = this.isInvite ? timers.transaction : timers.t2;
    this.#retransmission = new Retransmission(options.nowMs, options.reliable, maxIntervalMs);
    options.send(this.request);
  }

  get isInvite(): boolean {
    return this.request.method === 'INVITE';
  }

  get state(): State {
    return this.#state;
  }

  get connection(): object | undefined {
    return this.#options.connection;
  }

  /** Absolute time of the next timeout; undefined when there is none. */
  get nextTimeoutMs(): number | undefined {
    const nextMs = Math.min(this.#endsMs, this.#retransmission?.nextMs ?? Number.POSITIVE_INFINITY);
    return Number.isFinite(nextMs) ? nextMs : undefined;
  }

  receive(response: SipResponse, nowMs: number): void {
    switch (this.#state) {
      case 'calling':
      case 'proceeding':
        if (response.status < 200) this.#proceed();
        else this.#finish(response, nowMs);
        this.#options.onResponse(response);
        break;
      case 'completed':
        // The same refusal again: the ACK was lost.
        if (this.#ack && response.status >= 300) this.#options.send(this.#ack);
        break;
      case 'accepted':
        // From another branch of a forked INVITE, or repeated because our ACK was lost: the call decides.
        if (response.status >= 200 && response.status < 300) this.#options.onResponse(response);
        break;
      default:
    }
  }

  handleTimeout(nowMs: number): void {
    if (nowMs >= this.#endsMs) {
      this.#state = 'terminated';
      return;
    }
    const due = this.#retransmission?.due(nowMs);
    if (due === 'send') this.#options.send(this.request);
    if (due === 'give-up') this.#fail('no answer');
  }

  /**
   * The connection has ended. After a provisional response the peer may answer over another one; before it, nobody may have
   * the request.
   */
  connectionEnded(): void {
    if (this.#state === 'calling') this.#fail('the connection has ended');
  }

  /** Ends a transaction of which nothing more is expected: an INVITE that was cancelled and never refused. */
  abandon(): void {
    this.#state = 'terminated';
    this.#retransmission = undefined;
  }

  #fail(why: string): void {
    this.abandon();
    this.#options.onFailed(why);
  }

  #proceed(): void {
    this.#state = 'proceeding';
    // An INVITE may ring for as long as the caller waits; other requests must still end in time.
    if (this.isInvite) this.#retransmission = undefined;
    else this.#retransmission?.slowDown();
  }

  #finish(response: SipResponse, nowMs: number): void {
    const { reliable, send } = this.#options;
    this.#retransmission = undefined;
    if (!this.isInvite) {
      this.#state = 'completed';
      this.#endsMs = reliable ? nowMs : nowMs + timers.t4;
      return;
    }
    if (response.status < 300) {
      this.#state = 'accepted';
      this.#endsMs = nowMs + timers.transaction;
      return;
    }
    this.#state = 'completed';
    this.#endsMs = reliable ? nowMs : nowMs + timers.absorb;
    this.#ack = ackOfRefusal(this.request, response);
    send(this.#ack);
  }
}

/** The ACK of a refusal goes the way of its INVITE, with the same branch (RFC 3261, section 17.1.1.3). */
function ackOfRefusal(invite: SipRequest, refusal: SipResponse): SipRequest {
  const headers = new Headers().add('Max-Forwards', '70');
  for (const route of invite.headers.getAll('Route')) headers.add('Route', route);
  return {
    ...invite,
    method: 'ACK',
    vias: invite.vias.slice(0, 1),
    to: refusal.to,
    cseq: { sequence: invite.cseq.sequence, method: 'ACK' },
    headers,
    body: Buffer.alloc(0),
  };
}

/** A CANCEL goes the way of its INVITE too (RFC 3261, section 9.1). */
export function cancelOf(invite: SipRequest, reason?: string): SipRequest {
  const headers = new Headers().add('Max-Forwards', '70');
  for (const route of invite.headers.getAll('Route')) headers.add('Route', route);
  if (reason !== undefined) headers.add('Reason', reason);
  return {
    ...invite,
    method: 'CANCEL',
    vias: invite.vias.slice(0, 1),
    cseq: { sequence: invite.cseq.sequence, method: 'CANCEL' },
    headers,
    body: Buffer.alloc(0),
  };
}

/** For logs: `INVITE sip:… (Call-ID …)`. */
export function describeRequest({ method, to, callId }: SipRequest): string {
  return `${method} ${formatNameAddr({ ...to, params: new Map() })} (Call-ID ${callId})`;
}
