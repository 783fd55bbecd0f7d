import { createLogger } from '../../logging/index.js';
import {
  answerChallenge,
  type DigestChallenge,
  type DigestSecret,
  formatCredentials,
  parseChallenge,
} from '../auth/index.js';
import { limits } from '../limits.js';
import {
  formatUri,
  Headers,
  hasOption,
  type NameAddr,
  newTag,
  parseNumber,
  type SipRequest,
  type SipResponse,
  type SipUri,
  tagOf,
} from '../message/index.js';
import { cancelOf } from '../transaction/index.js';
import type { Flow, SipProtocol } from '../transport/index.js';
import { CallSession, sdpType } from './call-session.js';
import { Dialog } from './dialog.js';
import type { SentRequest, SipEndpoint } from './endpoint.js';
import { defaultSessionS, settledInterval } from './session-timer.js';

const log = createLogger('sip/call');
/** A cancelled INVITE to which no final answer comes is forgotten after this long (RFC 3261, section 9.1). */
const cancelledMs = 32_000;

export interface DialOptions {
  /** Who is called. */
  target: SipUri;
  /** Where the INVITE is sent, when it is not the target's own host. */
  proxy?: SipUri;
  protocol?: SipProtocol;
  /** A way that is known already: to a phone that has logged in over it. */
  flow?: Flow;
  from: NameAddr;
  to: NameAddr;
  headers?: Headers;
  secret?: DigestSecret;
  /** Writes the offer for the address that the call goes out from. */
  offer(flow: Flow): Buffer;
}

export interface OutgoingCallEvents {
  /** 18x: it rings. The description is there with early media. */
  onRinging(response: SipResponse): void;
  /** The call is answered; the session is acknowledged and goes on. */
  onAnswered(session: CallSession, response: SipResponse): void;
  /** The call came to nothing: the last status (408 without an answer, 487 after `cancel`) and its reason. */
  onFailed(status: number, reason: string): void;
}

/** A call that goes out: INVITE with forking, credentials, reliable provisional responses, and CANCEL at any moment. */
export class OutgoingCall {
  readonly callId: string;
  readonly #endpoint: SipEndpoint;
  readonly #options: DialOptions;
  readonly #events: OutgoingCallEvents;
  readonly #localTag = newTag();
  readonly #early = new Map<string, { session: CallSession; reliableSequence: number }>();
  readonly #abort = new AbortController();
  #sequence = Math.floor(Math.random() * 0x1000) + 1;
  #attempts = 0;
  #sessionS = defaultSessionS;
  #minS: number = limits.leastSessionS.value;
  #authorization: { name: string; value: string } | undefined;
  #lastNonce: string | undefined;
  #sent: SentRequest | undefined;
  #hasProvisional = false;
  #cancelled: { reason: string | undefined } | undefined;
  #cancelSent = false;
  #answered: CallSession | undefined;
  #finished = false;

  constructor(endpoint: SipEndpoint, options: DialOptions, events: OutgoingCallEvents, callId = newTag()) {
    this.#endpoint = endpoint;
    this.#options = options;
    this.#events = events;
    this.callId = callId;
    void this.#attempt();
  }

  /** Gives up. Nothing more comes but `onFailed`, at once; an answer that crosses it is hung up on. */
  cancel(reason?: string): void {
    if (this.#finished || this.#cancelled) return;
    this.#cancelled = { reason };
    this.#abort.abort();
    if (this.#hasProvisional) this.#sendCancel();
    this.#fail(487, 'Request Terminated');
  }

  async #attempt(): Promise<void> {
    this.#attempts++;
    const { target, proxy, protocol, flow: known } = this.#options;
    const events = {
      onResponse: (response: SipResponse) => this.#receive(response),
      onFailed: (why: string) => this.#fail(408, why),
    };
    if (known?.isOpen) {
      this.#sent = this.#endpoint.requestOver(known, this.#invite(known), events);
      return;
    }
    const sent = this.#endpoint.requestTo(
      proxy ?? target,
      protocol,
      (flow) => this.#invite(flow),
      events,
      this.#abort.signal,
    );
    this.#sent = await sent;
  }

  #invite(flow: Flow): SipRequest {
    const { target, from, to, headers, offer } = this.#options;
    const local: NameAddr = { ...from, params: new Map([...from.params, ['tag', this.#localTag]]) };
    const all = this.#endpoint.capabilities().add('Max-Forwards', '70');
    all.add('Contact', `<${formatUri(this.#endpoint.contact(flow).uri)}>`);
    all.add('Session-Expires', String(this.#sessionS)).add('Min-SE', String(this.#minS));
    if (this.#authorization) all.add(this.#authorization.name, this.#authorization.value);
    for (const { name, value } of headers ?? []) all.add(name, value);
    all.add('Content-Type', sdpType);
    return {
      kind: 'request',
      method: 'INVITE',
      uri: target,
      vias: [],
      from: local,
      to,
      callId: this.callId,
      cseq: { sequence: this.#sequence, method: 'INVITE' },
      headers: all,
      body: offer(flow),
    };
  }

  #receive(response: SipResponse): void {
    const { status, cseq } = response;
    if (cseq.sequence !== this.#sequence) return;
    if (status < 200) this.#receiveProvisional(response);
    else if (status < 300) this.#receiveAnswer(response);
    else if (!this.#cancelled && this.#tryAgain(response)) void this.#attempt();
    else this.#fail(status, response.reason);
  }

  #receiveProvisional(response: SipResponse): void {
    this.#hasProvisional = true;
    if (this.#cancelled) {
      if (!this.#cancelSent) this.#sendCancel();
      return;
    }
    if (this.#finished || response.status === 100) return;
    const early = this.#earlyDialog(response);
    if (early && hasOption(response, 'Require', '100rel')) this.#acknowledge(response, early);
    this.#events.onRinging(response);
  }

  #receiveAnswer(response: SipResponse): void {
    const tag = tagOf(response.to);
    if (tag === undefined) return;
    if (this.#answered && tagOf(this.#answered.dialog.remote) === tag) {
      this.#answered.repeatAck();
      return;
    }
    const session = this.#finished ? undefined : this.#earlyDialog(response)?.session;
    if (!session) {
      this.#hangUpOn(response);
      return;
    }
    session.dialog.confirm(response);
    session.notePeer(response);
    session.confirm(response);
    this.#finished = true;
    this.#answered = session;
    this.#dropEarly(tag);
    session.startTimer(settledInterval(response));
    this.#events.onAnswered(session, response);
  }

  /** Another branch was first, or the caller has given up: this answer is acknowledged and hung up on. */
  #hangUpOn(response: SipResponse): void {
    const { transaction, flow } = this.#sent ?? {};
    if (!transaction || !flow) return;
    const late = new CallSession(this.#endpoint, Dialog.fromResponse(transaction.request, response, flow));
    late.confirm(response);
    late.bye();
  }

  /** What belongs to the dialog that a response is of, which begins with its first response. */
  #earlyDialog(response: SipResponse): { session: CallSession; reliableSequence: number } | undefined {
    const tag = tagOf(response.to);
    const { transaction, flow } = this.#sent ?? {};
    if (tag === undefined || !transaction || !flow) return undefined;
    const known = this.#early.get(tag);
    if (known) return known;
    // A branch that answers is taken, however many others ring.
    if (response.status < 200 && this.#early.size >= limits.branches.value) return undefined;
    const dialog = Dialog.fromResponse(transaction.request, response, flow);
    const early = { session: new CallSession(this.#endpoint, dialog, true), reliableSequence: 0 };
    early.session.notePeer(response);
    this.#early.set(tag, early);
    return early;
  }

  #acknowledge(response: SipResponse, early: { session: CallSession; reliableSequence: number }): void {
    const sequence = parseNumber(response.headers.get('RSeq') ?? '', 0x7fffffff);
    if (sequence === undefined || sequence === 0) return;
    // One that is repeated has its PRACK; one that comes before its turn is repeated (RFC 3262, section 4).
    const { reliableSequence } = early;
    if (reliableSequence > 0 && sequence !== reliableSequence + 1) return;
    early.reliableSequence = sequence;
    const headers = Headers.of({ RAck: `${sequence} ${this.#sequence} INVITE` });
    const { dialog } = early.session;
    this.#endpoint.requestIn(dialog, dialog.request('PRACK', { headers }), {
      onResponse: () => {},
      onFailed: (why) => log.debug(`${this.callId}: PRACK: ${why}`),
    });
  }

  /** Whether a refusal says how the next INVITE may be accepted. */
  #tryAgain(response: SipResponse): boolean {
    if (this.#attempts >= limits.attempts.value) return false;
    if (response.status === 422) {
      const minS = parseNumber(response.headers.get('Min-SE') ?? '', limits.sessionS.value);
      if (minS === undefined || minS <= this.#sessionS) return false;
      this.#sessionS = minS;
      this.#minS = minS;
    } else if (!this.#authorize(response)) return false;
    this.#sequence++;
    this.#hasProvisional = false;
    return true;
  }

  #authorize(response: SipResponse): boolean {
    const { secret, target } = this.#options;
    const authorization =
      secret && credentialsFor(response, secret, 'INVITE', formatUri(target), this.#lastNonce);
    if (!authorization) return false;
    this.#authorization = authorization;
    this.#lastNonce = authorization.nonce;
    return true;
  }

  #sendCancel(): void {
    const { transaction, flow } = this.#sent ?? {};
    if (!transaction || !flow || transaction.state !== 'proceeding') return;
    this.#cancelSent = true;
    const cancel = cancelOf(transaction.request, this.#cancelled?.reason);
    this.#endpoint.requestAgain(flow, cancel);
    this.#endpoint.clock.schedule(() => {
      if (transaction.state !== 'proceeding') return;
      transaction.abandon();
      this.#endpoint.transactions.update(transaction);
    }, cancelledMs);
  }

  #fail(status: number, reason: string): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#dropEarly();
    this.#events.onFailed(status, reason);
  }

  /** Ends the dialogs of the branches that were not chosen. */
  #dropEarly(chosenTag?: string): void {
    for (const [tag, { session }] of this.#early)
      if (tag !== chosenTag) session.end('another branch answered');
  }
}

/**
 * The header that meets a 401 or 407, of the strongest challenge that we know.
 *
 * @param lastNonce of the credentials that were just refused: a challenge that does not call them stale is final
 */
export function credentialsFor(
  response: SipResponse,
  secret: DigestSecret,
  method: string,
  uri: string,
  lastNonce: string | undefined,
): { name: string; value: string; nonce: string } | undefined {
  const { status, headers } = response;
  if (status !== 401 && status !== 407) return undefined;
  const challenges = headers
    .getAll(status === 401 ? 'WWW-Authenticate' : 'Proxy-Authenticate')
    .map(parseChallenge)
    .filter((challenge): challenge is DigestChallenge => challenge !== undefined);
  const challenge = challenges.find(({ algorithm }) => algorithm === 'SHA-256') ?? challenges[0];
  if (!challenge || (lastNonce !== undefined && !challenge.stale)) return undefined;
  const credentials = answerChallenge(challenge, secret, { method, uri, cnonce: newTag(), count: 1 });
  return {
    name: status === 401 ? 'Authorization' : 'Proxy-Authorization',
    value: formatCredentials(credentials),
    nonce: challenge.nonce,
  };
}
