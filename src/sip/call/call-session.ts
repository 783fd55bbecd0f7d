import { createLogger } from '../../logging/index.js';
import { limits } from '../limits.js';
import {
  formatUri,
  Headers,
  hasOption,
  mediaTypeOf,
  nameAddrs,
  parseNumber,
  responseTo,
  type SipRequest,
  type SipResponse,
  type Uri,
} from '../message/index.js';
import { Retransmission, type ServerTransaction, timers } from '../transaction/index.js';
import type { Flow } from '../transport/index.js';
import type { Dialog } from './dialog.js';
import { allowedMethods, type DialogUser, type SipEndpoint } from './endpoint.js';
import {
  acceptInterval,
  intervalHeaders,
  type SessionInterval,
  SessionTimer,
  settledInterval,
} from './session-timer.js';

const log = createLogger('sip/call');

export const sdpType = 'application/sdp';
/** Offers that collide with the peer's are made again this often. */
const maxRefreshRetries = 2;

/** An offer or answer that the peer made, and what became of it. */
export type OfferResult = { answer: Buffer } | { refuse: number; reason?: string };

export interface TransferProgress {
  /** SIP status of the new call, as the peer reports it. */
  status: number;
  reason: string;
  /** Nothing more is reported. */
  final: boolean;
}

/**
 * An established call, or one that is about to be: everything that happens within its dialog (RFC 3261, sections 13 to
 * 15), with session timers (RFC 4028), PRACK and UPDATE (RFC 3262, 3311) and REFER (RFC 3515).
 */
export class CallSession implements DialogUser {
  readonly dialog: Dialog;
  /** The call is over: the peer hung up, vanished, or was hung up on. Called once. */
  onEnded: (why: string) => void = () => {};
  /** The peer acknowledged our answer. */
  onAcknowledged: () => void = () => {};
  /** The peer offers other media: on hold, at another address. */
  onOffer: (sdp: Buffer) => OfferResult = () => ({ refuse: 488 });
  /** The peer wants an offer from us. */
  makeOffer: () => Buffer | undefined = () => undefined;
  onAnswer: (sdp: Buffer) => void = () => {};
  onInfo: (contentType: string, body: Buffer) => void = () => {};
  /**
   * The peer asks us to call somebody else; `report` tells it how that goes. Returns the status of the answer: by default
   * who is put through to whom is for the agent to say, not for the phone.
   */
  onRefer: (target: string, report: (status: number, reason: string, final: boolean) => void) => number =
    () => 603;
  /** A reliable provisional response was acknowledged. */
  onPrack: (request: SipRequest) => boolean = () => false;
  readonly #endpoint: SipEndpoint;
  #timer: SessionTimer | undefined;
  /** The shortest interval that the peer takes, as far as it has said. */
  #minS: number = limits.leastSessionS.value;
  #cancelTimer: (() => void) | undefined;
  #cancelResend: (() => void) | undefined;
  #unacknowledged: { response: SipResponse; retransmission: Retransmission } | undefined;
  #expectsAnswer = false;
  /** The REFER that the peer reports of, with its CSeq number. */
  #transfer: { sequence: number; report: (progress: TransferProgress) => void } | undefined;
  #offering = false;
  #ended = false;
  #confirmed = false;
  /** Methods that the peer allows, as its INVITE or answer said. */
  #peerAllows = '';
  #ack: SipRequest | undefined;

  /** @param isOffering our INVITE, which began the dialog, is not answered yet */
  constructor(endpoint: SipEndpoint, dialog: Dialog, isOffering = false) {
    this.#endpoint = endpoint;
    this.dialog = dialog;
    this.#offering = isOffering;
    endpoint.addDialog(dialog, this);
  }

  get isEnded(): boolean {
    return this.#ended;
  }

  /** Notes what the peer can do, from its INVITE or its answer. */
  notePeer({ headers }: SipRequest | SipResponse): void {
    this.#peerAllows = headers.getAll('Allow').join(',').toUpperCase();
  }

  /** Our 2xx went out: it is sent again until its ACK comes, over TCP too (RFC 3261, section 13.3.1.4). */
  answered(response: SipResponse, transaction: ServerTransaction): void {
    const nowMs = this.#endpoint.clock.nowMs();
    this.#confirmed = true;
    this.#unacknowledged = { response, retransmission: new Retransmission(nowMs, false, timers.t2) };
    this.#resendLater(transaction);
  }

  /** Our answer has the offer: the ACK has the answer. */
  expectAnswer(): void {
    this.#expectsAnswer = true;
  }

  /** The peer answered our INVITE, and gets its ACK. */
  confirm(response: SipResponse, ackBody?: Buffer): void {
    this.#confirmed = true;
    this.#offering = false;
    const headers = ackBody ? Headers.of({ 'Content-Type': sdpType }) : new Headers();
    this.#ack = this.dialog.request(
      'ACK',
      { headers, ...(ackBody ? { body: ackBody } : {}) },
      response.cseq.sequence,
    );
    this.#endpoint.sendAck(this.dialog, this.#ack);
  }

  /** The same answer came again: its ACK was lost. */
  repeatAck(): void {
    if (this.#ack) this.#endpoint.sendAck(this.dialog, this.#ack);
  }

  startTimer(interval: SessionInterval | undefined): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#timer = interval && new SessionTimer(interval, this.#endpoint.clock.nowMs());
    this.#watchSession();
  }

  handleAck(request: SipRequest): void {
    if (!this.#unacknowledged) return;
    this.#unacknowledged = undefined;
    this.#cancelResend?.();
    this.#cancelResend = undefined;
    if (this.#expectsAnswer && request.body.length > 0) this.onAnswer(request.body);
    this.#expectsAnswer = false;
    this.onAcknowledged();
  }

  handleRequest(request: SipRequest, transaction: ServerTransaction, flow: Flow): void {
    const respond = (status: number, headers?: Headers) =>
      this.#endpoint.respond(transaction, responseTo(request, status, headers ? { headers } : {}));
    if (this.#ended) {
      respond(481);
      return;
    }
    if (!this.dialog.accept(request)) {
      respond(500, Headers.of({ 'Retry-After': '1' }));
      return;
    }
    // Where the peer has moved to, its Contact says, and behind a NAT the way that it came.
    if (request.method === 'INVITE' || request.method === 'UPDATE') this.dialog.flow = flow;
    switch (request.method) {
      case 'BYE':
        respond(200);
        this.end('the peer hung up');
        break;
      case 'INVITE':
      case 'UPDATE':
        this.#receiveOffer(request, transaction);
        break;
      case 'PRACK':
        respond(this.onPrack(request) ? 200 : 481);
        break;
      case 'INFO':
        respond(200);
        this.onInfo(mediaTypeOf(request.headers.get('Content-Type') ?? ''), request.body);
        break;
      case 'NOTIFY':
        this.#receiveNotify(request, transaction);
        break;
      case 'REFER':
        this.#receiveRefer(request, transaction);
        break;
      case 'OPTIONS':
        respond(200, this.#endpoint.capabilities());
        break;
      default:
        respond(405, Headers.of({ Allow: allowedMethods }));
    }
  }

  /** Hangs up, whatever the call is doing. The peer's answer is not waited for. */
  bye(reason?: string): void {
    if (this.#ended) return;
    this.#sendBye(reason);
    this.end('hung up');
  }

  /** Ends the call on this side without a word to the peer. */
  end(why: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#cancelTimer?.();
    this.#cancelResend?.();
    this.#unacknowledged = undefined;
    this.#endpoint.removeDialog(this.dialog);
    this.#transfer?.report({ status: 487, reason: 'call ended', final: true });
    this.onEnded(why);
  }

  /** Offers other media to the peer; resolves with its answer, or undefined when it refuses. */
  offer(sdp: Buffer): Promise<Buffer | undefined> {
    return new Promise((resolve) => this.#sendOffer('INVITE', sdp, resolve, maxRefreshRetries));
  }

  /** Sends an INFO; nothing comes of its answer. */
  info(contentType: string, body: Buffer): void {
    if (this.#ended) return;
    const headers = Headers.of({ 'Content-Type': contentType });
    this.#request('INFO', headers, body, () => {});
  }

  /**
   * Asks the peer to call somebody else (RFC 3515).
   *
   * @param onProgress what the peer reports of that call; the last has `final`
   * @returns forgets the transfer: what the peer reports later is refused, and another one may begin
   */
  refer(target: Uri, headers: Headers, onProgress: (progress: TransferProgress) => void): () => void {
    if (this.#ended || this.#transfer) {
      onProgress({ status: this.#ended ? 481 : 491, reason: 'no transfer is possible now', final: true });
      return () => {};
    }
    const forget = () => {
      if (this.#transfer === transfer) this.#transfer = undefined;
    };
    const report = (progress: TransferProgress) => {
      if (progress.final) forget();
      onProgress(progress);
    };
    const transfer = { sequence: 0, report };
    this.#transfer = transfer;
    const all = headers.clone().add('Refer-To', `<${formatUri(target)}>`);
    transfer.sequence = this.#request('REFER', all, undefined, (response) => {
      const { status, reason } = response ?? { status: 408, reason: 'no answer to REFER' };
      if (status >= 300 && this.#transfer === transfer) report({ status, reason, final: true });
    });
    return forget;
  }

  /** @returns the request's CSeq number */
  #request(
    method: string,
    headers: Headers,
    body: Buffer | undefined,
    onFinal: (response: SipResponse | undefined) => void,
  ): number {
    const request = this.dialog.request(method, { headers, ...(body ? { body } : {}) });
    this.#endpoint.requestIn(this.dialog, request, {
      onResponse: (response) => {
        if (response.status < 200) return;
        onFinal(response);
        // The peer no longer knows the call (RFC 3261, section 12.2.1.2).
        if (response.status === 481 || response.status === 408)
          this.end(`the peer answered ${response.status}`);
      },
      onFailed: () => onFinal(undefined),
    });
    return request.cseq.sequence;
  }

  #sendBye(reason: string | undefined): void {
    const headers = reason === undefined ? new Headers() : Headers.of({ Reason: reason });
    const request = this.dialog.request('BYE', { headers });
    this.#endpoint.requestIn(this.dialog, request, { onResponse: () => {}, onFailed: () => {} });
  }

  #receiveOffer(request: SipRequest, transaction: ServerTransaction): void {
    const refuse = (status: number, headers = new Headers(), reason?: string) => {
      const parts = { headers, ...(reason === undefined ? {} : { reason }) };
      this.#endpoint.respond(transaction, responseTo(request, status, parts));
    };
    const isInvite = request.method === 'INVITE';
    const isOffer = isInvite || request.body.length > 0;
    if (isOffer && (this.#offering || (isInvite && this.#unacknowledged))) {
      refuse(491);
      return;
    }
    if (isOffer && !this.#confirmed) {
      // The offer before this one is not answered yet (RFC 3261, section 14.2; RFC 3311, section 5.2).
      refuse(500, Headers.of({ 'Retry-After': String(Math.floor(Math.random() * 11)) }));
      return;
    }
    const result = this.#describe(request, isInvite);
    if (result && 'refuse' in result) {
      refuse(result.refuse, new Headers(), result.reason);
      return;
    }
    const headers = this.#endpoint.capabilities();
    headers.add('Contact', `<${formatUri(this.#endpoint.contact(this.dialog.flow).uri)}>`);
    const interval = acceptInterval(request);
    if (interval) for (const { name, value } of intervalHeaders(interval, 'uas')) headers.add(name, value);
    if (result) headers.add('Content-Type', sdpType);
    const response = responseTo(request, 200, { headers, ...(result ? { body: result.answer } : {}) });
    this.#endpoint.respond(transaction, response);
    if (this.#confirmed) this.startTimer(interval);
    if (isInvite) this.answered(response, transaction);
  }

  /** The description for the answer to a re-INVITE or UPDATE; undefined for an UPDATE that only refreshes. */
  #describe(request: SipRequest, isInvite: boolean): OfferResult | undefined {
    if (request.body.length > 0) {
      const type = mediaTypeOf(request.headers.get('Content-Type') ?? '');
      if (type !== sdpType) return { refuse: 415 };
      return this.onOffer(request.body);
    }
    if (!isInvite) return undefined;
    const offer = this.makeOffer();
    if (!offer) return { refuse: 488 };
    this.#expectsAnswer = true;
    return { answer: offer };
  }

  #receiveRefer(request: SipRequest, transaction: ServerTransaction): void {
    const target = nameAddrs(request.headers, 'Refer-To')?.[0];
    const report = (status: number, reason: string, final: boolean) => {
      const headers = Headers.of({
        Event: 'refer',
        'Subscription-State': final ? 'terminated;reason=noresource' : 'active;expires=60',
        'Content-Type': 'message/sipfrag;version=2.0',
      });
      this.#request('NOTIFY', headers, Buffer.from(`SIP/2.0 ${status} ${reason}\r\n`), () => {});
    };
    const status = target ? this.onRefer(formatUri(target.uri), report) : 400;
    this.#endpoint.respond(transaction, responseTo(request, status));
  }

  #receiveNotify(request: SipRequest, transaction: ServerTransaction): void {
    const [event, ...params] = (request.headers.get('Event') ?? '').split(';').map((part) => part.trim());
    if (event!.toLowerCase() !== 'refer') {
      this.#endpoint.respond(
        transaction,
        responseTo(request, 489, { headers: Headers.of({ 'Allow-Events': 'refer' }) }),
      );
      return;
    }
    // Which REFER it is about, a peer need not say of the first (RFC 3515, section 2.4.6).
    const id = params
      .map((param) => /^id\s*=\s*(\d+)$/i.exec(param)?.[1])
      .find((found) => found !== undefined);
    if (!this.#transfer || (id !== undefined && Number(id) !== this.#transfer.sequence)) {
      this.#endpoint.respond(transaction, responseTo(request, 481));
      return;
    }
    this.#endpoint.respond(transaction, responseTo(request, 200));
    const [, code, reason] = /^SIP\/2\.0 ([1-6]\d\d) ?([^\r\n]*)/i.exec(request.body.toString('utf8')) ?? [];
    const ends = /^\s*terminated/i.test(request.headers.get('Subscription-State') ?? '');
    const status = Number(code ?? (ends ? 487 : 100));
    this.#transfer.report({ status, reason: reason ?? '', final: status >= 200 || ends });
  }

  #sendOffer(
    method: 'INVITE' | 'UPDATE',
    sdp: Buffer | undefined,
    done: (answer: Buffer | undefined) => void,
    retries: number,
  ): void {
    if (this.#ended || this.#offering) {
      done(undefined);
      return;
    }
    this.#offering = true;
    const headers = this.#endpoint.capabilities();
    headers.add('Contact', `<${formatUri(this.#endpoint.contact(this.dialog.flow).uri)}>`);
    if (this.#timer) {
      for (const { name, value } of intervalHeaders(this.#timer.interval, 'uac')) headers.add(name, value);
      headers.add('Min-SE', String(this.#minS));
    }
    if (sdp) headers.add('Content-Type', sdpType);
    const request = this.dialog.request(method, { headers, ...(sdp ? { body: sdp } : {}) });
    const settle = (answer: Buffer | undefined) => {
      this.#offering = false;
      done(answer);
    };
    this.#endpoint.requestIn(this.dialog, request, {
      onFailed: (why) => {
        settle(undefined);
        this.#sendBye(undefined);
        this.end(`no answer to ${method}: ${why}`);
      },
      onResponse: (response) => {
        if (response.status < 200) return;
        if (response.status < 300) this.#offerAccepted(method, response, settle);
        else if (response.status === 422 && retries > 0 && this.#lengthen(response)) {
          this.#offering = false;
          this.#sendOffer(method, sdp, done, retries - 1);
        } else if (response.status === 491 && retries > 0) {
          this.#offering = false;
          // Both sides offered at once: whoever waits less goes first (RFC 3261, section 14.1).
          const delayMs = Math.random() * 2_000;
          this.#endpoint.clock.schedule(() => this.#sendOffer(method, sdp, done, retries - 1), delayMs);
        } else {
          settle(undefined);
          if (response.status === 481 || response.status === 408)
            this.end(`the peer answered ${response.status}`);
        }
      },
    });
  }

  /** Takes the longer interval that the peer asks for; false when it asks for none. */
  #lengthen({ headers }: SipResponse): boolean {
    const { interval } = this.#timer ?? {};
    const intervalS = parseNumber(headers.get('Min-SE') ?? '', limits.sessionS.value);
    if (!interval || intervalS === undefined || intervalS <= interval.intervalS) return false;
    this.#minS = intervalS;
    this.startTimer({ ...interval, intervalS });
    return true;
  }

  #offerAccepted(method: string, response: SipResponse, settle: (answer: Buffer | undefined) => void): void {
    if (method === 'INVITE') {
      if (this.#ack?.cseq.sequence === response.cseq.sequence) {
        this.repeatAck();
        return;
      }
      this.confirm(response);
    }
    this.dialog.retarget(response);
    // The answer may settle on another interval, or on who refreshes.
    if (this.#timer) this.startTimer(settledInterval(response) ?? this.#timer.interval);
    settle(response.body);
  }

  #resendLater(transaction: ServerTransaction): void {
    this.#cancelResend?.();
    const waiting = this.#unacknowledged;
    if (!waiting || this.#ended) return;
    const { clock } = this.#endpoint;
    this.#cancelResend = clock.schedule(
      () => {
        const due = waiting.retransmission.due(clock.nowMs());
        if (due === 'send') this.#endpoint.sendAgain(waiting.response, transaction);
        if (due !== 'give-up') {
          this.#resendLater(transaction);
          return;
        }
        log.warn(`${this.dialog.callId}: the answer was never acknowledged`);
        this.bye();
      },
      Math.max(0, waiting.retransmission.nextMs - clock.nowMs()),
    );
  }

  #watchSession(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    const timer = this.#timer;
    if (!timer || this.#ended) return;
    const { clock } = this.#endpoint;
    this.#cancelTimer = clock.schedule(
      () => {
        const due = timer.due(clock.nowMs());
        if (due === 'expired') {
          this.#sendBye('SIP;cause=408;text="Session expired"');
          this.end('the session expired without a refresh');
          return;
        }
        if (due === 'refresh') {
          const method = this.#peerAllows.includes('UPDATE') ? 'UPDATE' : 'INVITE';
          this.#sendOffer(
            method,
            method === 'INVITE' ? this.makeOffer() : undefined,
            () => {},
            maxRefreshRetries,
          );
        }
        this.#watchSession();
      },
      Math.max(0, timer.nextMs - clock.nowMs()),
    );
  }
}

/** Whether a peer requires that provisional responses are acknowledged. */
export function requiresPrack(request: SipRequest): boolean {
  return hasOption(request, 'Require', '100rel');
}
