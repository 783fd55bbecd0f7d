import { createLogger } from '../../logging/index.js';
import { formatUri, Headers, newTag, responseTo, type SipRequest } from '../message/index.js';
import { Retransmission, type ServerTransaction, timers } from '../transaction/index.js';
import type { Flow } from '../transport/index.js';
import { CallSession, requiresPrack, sdpType } from './call-session.js';
import { Dialog } from './dialog.js';
import type { ServedRequest, SipEndpoint } from './endpoint.js';
import { acceptInterval, intervalHeaders } from './session-timer.js';

const log = createLogger('sip/call');
/** A proxy forgets a call that is not heard of for three minutes: ringing is repeated (RFC 3261, section 13.3.1.1). */
const repeatRingingMs = 60_000;

/** A call that came in and is not answered yet. */
export class IncomingCall {
  readonly request: SipRequest;
  readonly flow: Flow;
  readonly session: CallSession;
  /** The caller gave up before the answer: CANCEL, BYE, or nothing acknowledged. 487 has been sent. Called once. */
  onCancelled: (why: string) => void = () => {};
  /** The answer need not wait any longer. */
  onMayAccept: () => void = () => {};
  readonly #endpoint: SipEndpoint;
  readonly #transaction: ServerTransaction;
  readonly #localTag = newTag();
  #cancelRinging: (() => void) | undefined;
  #reliable: { sequence: number; hasDescription: boolean; cancel: () => void } | undefined;
  #reliableSequence = Math.floor(Math.random() * 0x10000) + 1;
  #finished = false;

  constructor(endpoint: SipEndpoint, { request, transaction, flow }: ServedRequest) {
    this.#endpoint = endpoint;
    this.request = request;
    this.flow = flow;
    this.#transaction = transaction;
    this.session = new CallSession(endpoint, Dialog.fromRequest(request, this.#localTag, flow));
    this.session.notePeer(request);
    this.session.onPrack = (prack) => this.#acknowledged(prack);
    this.session.onEnded = () => this.#giveUp('the caller hung up');
    endpoint.onCancel(transaction, () => this.#giveUp('the caller cancelled'));
    // At once, so that the caller stops repeating the INVITE whatever comes next.
    endpoint.respond(transaction, responseTo(request, 100));
  }

  get isFinished(): boolean {
    return this.#finished;
  }

  /**
   * Whether the answer may be given: not before the description that went ahead of it is acknowledged, where that must be
   * (RFC 3262, section 3).
   */
  get mayAccept(): boolean {
    return !this.#finished && !this.#reliable?.hasDescription;
  }

  /** 180: the caller hears it ring. Repeated every minute. */
  ring(): void {
    this.#provisional(180);
  }

  /** 183 with a description: the caller hears what is sent before the answer. */
  progress(sdp: Buffer): void {
    this.#provisional(183, sdp);
  }

  /** 200: from now on `session` is the call. */
  accept(sdp: Buffer, extra = new Headers()): void {
    if (!this.#finish()) return;
    const headers = this.#endpoint.capabilities();
    this.#addContact(headers);
    headers.add('Content-Type', sdpType);
    const interval = acceptInterval(this.request);
    if (interval) for (const { name, value } of intervalHeaders(interval, 'uas')) headers.add(name, value);
    for (const { name, value } of extra) headers.add(name, value);
    const response = responseTo(this.request, 200, { toTag: this.#localTag, headers, body: sdp });
    this.#endpoint.respond(this.#transaction, response);
    this.session.onPrack = (prack) => this.#acknowledged(prack);
    if (this.request.body.length === 0) this.session.expectAnswer();
    this.session.startTimer(interval);
    this.session.answered(response, this.#transaction);
  }

  /** Refuses the call. */
  reject(
    status: number,
    { reason, headers = new Headers() }: { reason?: string; headers?: Headers } = {},
  ): void {
    if (!this.#finish()) return;
    const parts = { toTag: this.#localTag, headers, ...(reason === undefined ? {} : { reason }) };
    this.#endpoint.respond(this.#transaction, responseTo(this.request, status, parts));
    this.session.onEnded = () => {};
    this.session.end('refused');
  }

  #finish(): boolean {
    if (this.#finished) return false;
    this.#finished = true;
    this.#cancelRinging?.();
    this.#reliable?.cancel();
    this.session.onEnded = () => {};
    return true;
  }

  #giveUp(why: string): void {
    if (!this.#finish()) return;
    const response = responseTo(this.request, 487, { toTag: this.#localTag });
    this.#endpoint.respond(this.#transaction, response);
    this.session.end(why);
    this.onCancelled(why);
  }

  #addContact(headers: Headers): void {
    headers.add('Contact', `<${formatUri(this.#endpoint.contact(this.flow).uri)}>`);
  }

  #provisional(status: number, sdp?: Buffer): void {
    if (this.#finished) return;
    const headers = new Headers();
    this.#addContact(headers);
    if (sdp) headers.add('Content-Type', sdpType);
    const respond = () =>
      this.#endpoint.respond(
        this.#transaction,
        responseTo(this.request, status, { toTag: this.#localTag, headers, ...(sdp ? { body: sdp } : {}) }),
      );
    if (requiresPrack(this.request)) {
      this.#sendReliably(status, headers, sdp);
      return;
    }
    respond();
    const again = () => {
      respond();
      this.#cancelRinging = this.#endpoint.clock.schedule(again, repeatRingingMs);
    };
    this.#cancelRinging?.();
    this.#cancelRinging = this.#endpoint.clock.schedule(again, repeatRingingMs);
  }

  /** A provisional response that is repeated until its PRACK comes (RFC 3262, section 3). One at a time. */
  #sendReliably(status: number, headers: Headers, sdp: Buffer | undefined): void {
    if (this.#reliable) return;
    const sequence = this.#reliableSequence++;
    headers.add('Require', '100rel').add('RSeq', String(sequence));
    const response = responseTo(this.request, status, {
      toTag: this.#localTag,
      headers,
      ...(sdp ? { body: sdp } : {}),
    });
    const { clock } = this.#endpoint;
    const retransmission = new Retransmission(clock.nowMs(), false, timers.transaction);
    const wait = (): (() => void) =>
      clock.schedule(
        () => {
          const due = retransmission.due(clock.nowMs());
          if (due === 'give-up') {
            log.warn(`${this.request.callId}: a provisional response was never acknowledged`);
            this.reject(504, { reason: 'No PRACK' });
            this.onCancelled('a provisional response was never acknowledged');
            return;
          }
          if (due === 'send') this.#endpoint.respond(this.#transaction, response);
          if (this.#reliable) this.#reliable.cancel = wait();
        },
        Math.max(0, retransmission.nextMs - clock.nowMs()),
      );
    this.#endpoint.respond(this.#transaction, response);
    this.#reliable = { sequence, hasDescription: sdp !== undefined, cancel: wait() };
  }

  #acknowledged(prack: SipRequest): boolean {
    const [sequence, inviteSequence, method] = (prack.headers.get('RAck') ?? '').trim().split(/\s+/);
    const isMine =
      this.#reliable !== undefined &&
      Number(sequence) === this.#reliable.sequence &&
      Number(inviteSequence) === this.request.cseq.sequence &&
      method === 'INVITE';
    if (!isMine) return false;
    this.#reliable?.cancel();
    this.#reliable = undefined;
    // After the answer to the PRACK.
    queueMicrotask(() => this.onMayAccept());
    return true;
  }
}
