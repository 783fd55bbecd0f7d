import {
  type CreateSIPParticipantRequest,
  SIPHeaderOptions,
  type SIPMediaConfig,
  type SIPMediaEncryption,
  type SIPOutboundConfig,
  type SIPOutboundTrunkInfo,
  SIPTransport,
} from '@livekit/protocol';
import { describeError, OffhookError } from '../../errors/index.js';
import { newSid } from '../../server/index.js';
import type { DigestSecret } from '../auth/index.js';
import { type CallSession, OutgoingCall } from '../call/index.js';
import { playTone } from '../media/index.js';
import {
  escapeUser,
  Headers,
  type NameAddr,
  newTag,
  parseHostPort,
  type SipResponse,
  type SipUri,
} from '../message/index.js';
import type { Flow, SipProtocol } from '../transport/index.js';
import { Bridge, headersToAttributes } from './bridge.js';
import { CallLog } from './call-log.js';
import type { GatewayCall, GatewayContext, TransferOutcome, TransferRequest } from './context.js';
import { type Dispatched, phoneIdentity } from './dispatch.js';
import { durationMs, encryptionOf } from './inbound-call.js';
import { RoomLeg } from './room-leg.js';

const dialTonePieceMs = 10;

/** Where a call goes out, as a trunk or the request itself says. */
export interface OutboundRoute {
  trunkId: string;
  target: SipUri;
  protocol: SipProtocol | undefined;
  /** A softphone that has logged in here is called over the way by which it did. */
  flow?: Flow;
  secret: DigestSecret | undefined;
  fromNumber: string;
  fromHost: string | undefined;
  headers: Readonly<Record<string, string>>;
  headersToAttributes: Readonly<Record<string, string>>;
  includeHeaders: SIPHeaderOptions;
  encryption: SIPMediaEncryption | undefined;
  media: SIPMediaConfig | undefined;
}

/** The outcome of dialing. */
export type DialOutcome = { answered: true } | { answered: false; status: number; reason: string };

const protocols: Partial<Record<SIPTransport, SipProtocol>> = {
  [SIPTransport.SIP_TRANSPORT_UDP]: 'udp',
  [SIPTransport.SIP_TRANSPORT_TCP]: 'tcp',
  [SIPTransport.SIP_TRANSPORT_TLS]: 'tls',
};

/**
 * The way of a call through a trunk.
 *
 * @throws OffhookError `OFFHOOK_INVALID_REQUEST` for an address or number that is none
 */
export function routeOf(
  trunk: SIPOutboundTrunkInfo | SIPOutboundConfig,
  request: CreateSIPParticipantRequest,
): OutboundRoute {
  const isStored = 'numbers' in trunk;
  const address = isStored ? trunk.address : trunk.hostname;
  const place = parseHostPort(address);
  if (!place) throw invalid(`"${address}" is no address of a trunk`);
  const user = request.sipCallTo;
  if (!/^[A-Za-z0-9+*#\-_.!~'()]{1,64}$/.test(user))
    throw invalid(`"${user}" is no number that can be called`);
  const target: SipUri = { scheme: 'sip', user: escapeUser(user), ...place, params: new Map(), headers: '' };
  const protocol = protocols[trunk.transport];
  if (protocol === 'tcp' || protocol === 'tls') target.params.set('transport', protocol);
  const numbers = isStored ? trunk.numbers : [];
  const fromNumber = request.sipNumber || numbers.find((number) => number !== '*') || '';
  return {
    trunkId: isStored ? trunk.sipTrunkId : '',
    target,
    protocol,
    secret:
      trunk.authUsername === '' ? undefined : { username: trunk.authUsername, password: trunk.authPassword },
    fromNumber,
    fromHost: trunk.fromHost || undefined,
    headers: { ...(isStored ? trunk.headers : {}), ...request.headers },
    headersToAttributes: trunk.headersToAttributes,
    includeHeaders:
      request.includeHeaders || (isStored ? trunk.includeHeaders : SIPHeaderOptions.SIP_NO_HEADERS),
    encryption: request.mediaEncryption || (isStored ? trunk.mediaEncryption : undefined),
    media: request.media ?? (isStored ? trunk.media : undefined),
  };
}

function invalid(message: string): OffhookError {
  return new OffhookError('OFFHOOK_INVALID_REQUEST', message);
}

/** A call to a telephone: its participant is in the room while it rings, and becomes active when it is answered. */
export class OutboundCall implements GatewayCall {
  readonly callId = newSid('SCL');
  readonly direction = 'outbound';
  readonly roomName: string;
  readonly identity: string;
  /** Resolves when the phone has answered or the call has come to nothing. */
  readonly dialed: Promise<DialOutcome>;
  readonly #context: GatewayContext;
  readonly #request: CreateSIPParticipantRequest;
  readonly #route: OutboundRoute;
  readonly #log = new CallLog(this.callId);
  readonly #sipCallId = newTag();
  readonly #abort = new AbortController();
  #settle: (outcome: DialOutcome) => void = () => {};
  #room: RoomLeg | undefined;
  #bridge: Bridge | undefined;
  #outgoing: OutgoingCall | undefined;
  #session: CallSession | undefined;
  #ringing: NodeJS.Timeout | undefined;
  #longest: NodeJS.Timeout | undefined;
  #dialTone: NodeJS.Timeout | undefined;
  #finished = false;

  constructor(context: GatewayContext, request: CreateSIPParticipantRequest, route: OutboundRoute) {
    this.#context = context;
    this.#request = request;
    this.#route = route;
    this.roomName = request.roomName;
    const { participantIdentity, sipCallTo, hidePhoneNumber } = request;
    this.identity = participantIdentity || phoneIdentity(sipCallTo, hidePhoneNumber);
    this.dialed = new Promise((resolve) => {
      this.#settle = resolve;
    });
    context.calls.set(this.callId, this);
    context.trace(this.#sipCallId, this.#log);
    this.#log.isAbout(this.roomName, this.identity);
    this.#log.logger.info(`call ${this.callId}: to ${request.sipCallTo}, Call-ID ${this.#sipCallId}`);
  }

  get participantSid(): string {
    return this.#room?.participantSid ?? '';
  }

  get transfer(): ((request: TransferRequest) => Promise<TransferOutcome>) | undefined {
    const session = this.#session;
    const bridge = this.#bridge;
    if (!session || !bridge) return undefined;
    return async (request) => {
      const outcome = await bridge.transfer(session, request);
      if (outcome.status >= 200 && outcome.status < 300) this.end('transferred');
      return outcome;
    };
  }

  /**
   * Joins the room and begins to dial; `dialed` tells how that went.
   *
   * @throws OffhookError when the room cannot be joined; nothing was dialed then
   */
  async start(): Promise<void> {
    try {
      const { joins } = this.#context;
      if (joins.isBusy) this.#log.begin('sip-turn');
      await joins.run(this.#abort.signal, () => this.#joinRoom());
    } catch (error) {
      this.#finish('failed', 503, describeError(error));
      throw error;
    }
    if (this.#finished) return;
    this.#dial().catch((error: unknown) => this.#finish('failed', 503, describeError(error)));
  }

  end(reason: string): void {
    if (this.#finished) return;
    if (this.#session) {
      // What is recorded is why we hang up, not that we do.
      this.#session.onEnded = () => {};
      this.#session.bye(`SIP;cause=200;text="${reason.replace(/["\\\r\n]/g, ' ')}"`);
    }
    this.#outgoing?.cancel();
    this.#finish('ok', 487, reason);
  }

  async #joinRoom(): Promise<void> {
    const { participantName, participantMetadata, participantAttributes, sipCallTo, hidePhoneNumber } =
      this.#request;
    const { trunkId, fromNumber, target } = this.#route;
    this.#log.end('sip-turn');
    this.#log.begin('sip-room', this.#context.room.url);
    const dispatched: Dispatched = {
      ruleId: '',
      room: this.roomName,
      identity: this.identity,
      name: participantName || (hidePhoneNumber ? `Phone ${sipCallTo.slice(-4)}` : `Phone ${sipCallTo}`),
      metadata: participantMetadata,
      attributes: {
        ...participantAttributes,
        'sip.callID': this.callId,
        'sip.callIDFull': this.#sipCallId,
        'sip.trunkID': trunkId,
        'sip.hostname': target.host,
        'sip.callStatus': 'dialing',
        ...(hidePhoneNumber ? {} : { 'sip.phoneNumber': sipCallTo, 'sip.trunkPhoneNumber': fromNumber }),
      },
      isOwnRoom: false,
      roomPreset: '',
      roomConfig: undefined,
    };
    this.#room = await RoomLeg.join(
      this.#context.room,
      dispatched,
      {
        onParticipant: () => {},
        onAudio: () => {},
        onDtmf: (digit) => this.#bridge?.media.press(digit),
        onClosed: (reason) => this.end(`the room was closed (${reason})`),
      },
      this.#abort.signal,
    );
    this.#log.end('sip-room');
  }

  async #dial(): Promise<void> {
    const { endpoint, times } = this.#context;
    const { target, protocol, secret, headers, fromNumber, fromHost } = this.#route;
    const flow = this.#route.flow ?? (await this.#firstFlow());
    const { media } = this.#route;
    const bridge = await Bridge.open({
      context: this.#context,
      logger: this.#log.logger,
      flow,
      encryption: encryptionOf(media?.encryption ?? this.#route.encryption, flow.protocol === 'tls'),
      codecs: media && media.codecs.length > 0 ? media.codecs.map(({ name }) => name) : undefined,
      mediaTimeoutMs: durationMs(media?.mediaTimeout),
    });
    if (this.#finished) {
      bridge.close();
      return;
    }
    this.#bridge = bridge;
    bridge.onMediaLost = () => this.end('nothing was heard from the phone');
    const { displayName } = this.#request;
    const from: NameAddr = {
      ...(displayName ? { displayName } : {}),
      uri: {
        scheme: 'sip',
        user: escapeUser(fromNumber || 'offhook'),
        host: fromHost ?? flow.local.address,
        params: new Map(),
        headers: '',
      },
      params: new Map(),
    };
    const to: NameAddr = { uri: { ...target, params: new Map() }, params: new Map() };
    this.#log.begin('sip-invite', `${target.user}@${target.host}`);
    if (this.#request.playDialtone || this.#request.playRingtone) this.#playDialTone();
    const ringingMs = durationMs(this.#request.ringingTimeout) ?? times.ringingMs;
    this.#ringing = setTimeout(() => this.#notAnswered(ringingMs), ringingMs);
    this.#outgoing = new OutgoingCall(
      endpoint,
      {
        target,
        ...(protocol ? { protocol } : {}),
        ...(this.#route.flow ? { flow: this.#route.flow } : {}),
        from,
        to,
        headers: Headers.of({ ...headers }),
        ...(secret ? { secret } : {}),
        offer: () => bridge.media.negotiation.offer(),
      },
      {
        onRinging: (response) => this.#rings(response),
        onAnswered: (session, response) => this.#answered(session, response),
        onFailed: (status, reason) => this.#finish('failed', status, reason),
      },
      this.#sipCallId,
    );
  }

  /** Only to know our address towards the trunk: the call itself looks for a way that works. */
  async #firstFlow(): Promise<Flow> {
    const { endpoint } = this.#context;
    return endpoint.flowTowards(this.#route.target, this.#route.protocol);
  }

  #rings(response: SipResponse): void {
    if (response.status < 180 || this.#session) return;
    this.#log.end('sip-invite');
    this.#log.begin('sip-answer');
    this.#room?.setAttributes({ 'sip.callStatus': 'ringing' });
    // Early media: the network's own announcements are for the room too.
    if (response.body.length > 0 && this.#bridge && this.#room) {
      const accepted = this.#bridge.media.accept(response.body);
      if (accepted.ok) void this.#publish();
    }
  }

  #answered(session: CallSession, response: SipResponse): void {
    this.#session = session;
    clearTimeout(this.#ringing);
    this.#stopDialTone();
    const bridge = this.#bridge!;
    session.onEnded = (why) => this.#finish('ok', 200, why);
    const accepted = bridge.media.accept(response.body);
    if (!accepted.ok) {
      session.bye(`SIP;cause=488;text="${accepted.reason}"`);
      this.#finish('failed', accepted.status, accepted.reason);
      return;
    }
    bridge.serve(session);
    this.#log.end('sip-invite');
    this.#log.end('sip-answer');
    this.#log.begin('sip-call');
    const mapped = headersToAttributes(response, this.#route.headersToAttributes, this.#route.includeHeaders);
    const { dtmf } = this.#request;
    this.#room?.setAttributes({ ...mapped, 'sip.callStatus': dtmf === '' ? 'active' : 'automation' });
    bridge.start();
    if (dtmf !== '') this.#dialExtension(dtmf);
    const longestMs = durationMs(this.#request.maxCallDuration) ?? this.#context.times.callMs;
    this.#longest = setTimeout(() => this.end('the longest time for a call is over'), longestMs);
    this.#log.logger.info(`call ${this.callId}: answered: ${this.#log.summary()}`);
    // When the request returns, the phone's track is in the room.
    void this.#publish().then(() => this.#settle({ answered: true }));
  }

  #published: Promise<void> | undefined;

  /** The room hears the phone from now on; never rejects. */
  #publish(): Promise<void> {
    this.#published ??= this.#hearPhone();
    return this.#published;
  }

  async #hearPhone(): Promise<void> {
    const room = this.#room;
    const bridge = this.#bridge;
    if (!room || !bridge) return;
    this.#stopDialTone();
    try {
      await room.publish(bridge.media.sampleRate ?? 8_000);
      bridge.join(room);
    } catch (error) {
      if (!this.#finished) this.end(describeError(error));
    }
  }

  /** Presses the extension's keys; the participant is active once they are through. */
  #dialExtension(digits: string): void {
    const media = this.#bridge!.media;
    media.press(digits);
    const durationMs = [...digits].reduce((sum, digit) => sum + (digit.toLowerCase() === 'w' ? 500 : 240), 0);
    setTimeout(() => {
      if (!this.#finished) this.#room?.setAttributes({ 'sip.callStatus': 'active' });
    }, durationMs).unref();
  }

  /** The room hears it ring. */
  #playDialTone(): void {
    // What the phone says follows on the same track, in whichever codec.
    const sampleRate = 48_000;
    const tone = playTone.ringback(sampleRate);
    const piece = (sampleRate * dialTonePieceMs) / 1_000;
    let at = 0;
    const room = this.#room!;
    room
      .publish(sampleRate)
      .then(() => {
        if (this.#finished || this.#session) return;
        this.#dialTone = setInterval(() => {
          room.pushAudio(tone.subarray(at, at + piece), sampleRate);
          at = (at + piece) % tone.length;
        }, dialTonePieceMs);
      })
      .catch((error: unknown) => this.#log.logger.debug(`dial tone: ${describeError(error)}`));
  }

  #stopDialTone(): void {
    clearInterval(this.#dialTone);
    this.#dialTone = undefined;
  }

  #notAnswered(ringingMs: number): void {
    this.#log.end('sip-answer', 'deadline', `not answered within ${ringingMs} ms`);
    this.#finish('deadline', 408, 'the phone was not answered in time');
    this.#outgoing?.cancel('SIP;cause=408;text="Ringing time-out"');
  }

  #finish(outcome: 'ok' | 'failed' | 'deadline', status: number, why: string): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#abort.abort();
    clearTimeout(this.#ringing);
    clearTimeout(this.#longest);
    this.#stopDialTone();
    this.#settle({ answered: false, status, reason: why });
    this.#room?.leave();
    this.#bridge?.close();
    this.#log.finish(outcome, why);
    this.#log.logger.info(`call ${this.callId}: ended: ${why}`);
    this.#context.finished(
      this,
      {
        callId: this.callId,
        direction: 'outbound',
        from: this.#route.fromNumber,
        to: this.#request.sipCallTo,
        room: this.roomName,
        outcome: why,
        timeline: this.#log.timeline.toJSON(),
        ladder: this.#log.ladder,
      },
      this.#sipCallId,
    );
  }
}

/** Whether a number may be called: every trunk and program is held to it. */
export function isAllowedDestination(number: string, prefixes: readonly string[]): boolean {
  return prefixes.length === 0 || prefixes.some((prefix) => number.startsWith(prefix));
}
