import { type SIPInboundTrunkInfo, SIPMediaEncryption } from '@livekit/protocol';
import { describeError } from '../../errors/index.js';
import { timerMs } from '../../limits.js';
import { newSid } from '../../server/index.js';
import { IncomingCall, type ServedRequest, sdpType } from '../call/index.js';
import { limits } from '../limits.js';
import { type MediaEncryption, playTone } from '../media/index.js';
import { Headers, isSipUri, mediaTypeOf, type SipRequest, tagOf, userOf } from '../message/index.js';
import { attributesToHeaders, Bridge, headersToAttributes } from './bridge.js';
import { CallLog } from './call-log.js';
import type { GatewayCall, GatewayContext, TransferOutcome, TransferRequest } from './context.js';
import { type CallFacts, type Dispatched, type DispatchResult, dispatch } from './dispatch.js';
import { RoomLeg } from './room-leg.js';

/** A refusal that is heard, before the call is hung up. */
const refusalMs = 900;

/**
 * A call from a telephone: it rings until an agent can be heard in its room, and is answered at that moment. What cannot
 * be answered is refused in time, with a reason.
 */
export class InboundCall implements GatewayCall {
  readonly callId = newSid('SCL');
  readonly direction = 'inbound';
  readonly #context: GatewayContext;
  readonly #incoming: IncomingCall;
  readonly #trunk: SIPInboundTrunkInfo | undefined;
  readonly #log = new CallLog(this.callId);
  readonly #facts: CallFacts;
  readonly #abort = new AbortController();
  #dispatched: Dispatched | undefined;
  #bridge: Bridge | undefined;
  #room: RoomLeg | undefined;
  #offersUs = false;
  #answered = false;
  #finished = false;
  #deadline: NodeJS.Timeout | undefined;
  #longest: NodeJS.Timeout | undefined;

  constructor(context: GatewayContext, served: ServedRequest, trunk: SIPInboundTrunkInfo | undefined) {
    this.#context = context;
    this.#trunk = trunk;
    this.#facts = { ...factsOf(served.request, served.flow.remote.address), callId: this.callId };
    const { callId } = served.request;
    context.calls.set(this.callId, this);
    context.trace(callId, this.#log);
    this.#log.note({ direction: 'in', message: served.request, flow: served.flow });
    this.#log.begin('sip-invite', `${this.#facts.callingNumber}@${served.flow.remote.address}`);
    this.#incoming = new IncomingCall(context.endpoint, served);
    this.#incoming.onCancelled = (why) => this.#finish('abandoned', why);
    const { callingNumber, calledNumber } = this.#facts;
    this.#log.logger.info(`call ${this.callId}: from ${callingNumber} to ${calledNumber}, Call-ID ${callId}`);
  }

  get roomName(): string {
    return this.#dispatched?.room ?? '';
  }

  get identity(): string {
    return this.#dispatched?.identity ?? '';
  }

  get transfer(): ((request: TransferRequest) => Promise<TransferOutcome>) | undefined {
    const bridge = this.#bridge;
    if (!this.#answered || !bridge) return undefined;
    return async (request) => {
      const outcome = await bridge.transfer(this.#incoming.session, request);
      if (outcome.status >= 200 && outcome.status < 300) this.end('transferred');
      return outcome;
    };
  }

  /** Takes the call to its end; never rejects. */
  async run(): Promise<void> {
    try {
      await this.#take();
    } catch (error) {
      if (this.#finished) return;
      this.#log.logger.warn(`call ${this.callId}: ${describeError(error)}`);
      this.#refuse(503, describeError(error));
    }
  }

  end(reason: string): void {
    if (this.#finished) return;
    if (!this.#incoming.isFinished) {
      this.#refuse(480, reason);
      return;
    }
    const { session } = this.#incoming;
    // What is recorded is why we hang up, not that we do.
    session.onEnded = () => {};
    session.bye(this.#byeReason(200, reason));
    this.#finish('ok', reason);
  }

  async #take(): Promise<void> {
    const result = this.#dispatch(undefined);
    if (result.kind === 'none') {
      this.#refuse(404, result.reason);
      return;
    }
    const accepts = this.#incoming.request.headers.list('Accept').map(mediaTypeOf);
    if (
      accepts.length > 0 &&
      !accepts.some((type) => type === sdpType || type === '*/*' || type === 'application/*')
    ) {
      this.#refuse(406, 'The caller understands no session descriptions');
      return;
    }
    const sdp = await this.#openMedia();
    if (!sdp || this.#finished) return;
    if (result.kind === 'pin') {
      await this.#answerForPin(sdp);
      return;
    }
    this.#ring(sdp);
    this.#log.end('sip-invite');
    await this.#bringIn(result.dispatched, 'ringing');
    this.#whenHeard = () => this.#answer(sdp);
    if (this.#isHeard) this.#whenHeard();
  }

  #isHeard = false;
  #whenHeard: (() => void) | undefined;

  #dispatch(pin: string | undefined): DispatchResult {
    return dispatch(this.#context.directory.rules.values(), this.#trunk, this.#facts, pin);
  }

  /** Our description for the answer; undefined when the call was refused for what it offers. */
  async #openMedia(): Promise<Buffer | undefined> {
    const { request, flow } = this.#incoming;
    const media = this.#trunk?.media;
    const bridge = await Bridge.open({
      context: this.#context,
      logger: this.#log.logger,
      flow,
      encryption: encryptionOf(media?.encryption ?? this.#trunk?.mediaEncryption, flow.protocol === 'tls'),
      codecs: media && media.codecs.length > 0 ? media.codecs.map(({ name }) => name) : undefined,
      mediaTimeoutMs: durationMs(media?.mediaTimeout),
    });
    if (this.#finished) {
      bridge.close();
      return undefined;
    }
    this.#bridge = bridge;
    bridge.onMediaLost = () => this.end('nothing was heard from the phone');
    bridge.serve(this.#incoming.session);
    if (request.body.length === 0) {
      // The caller leaves the offer to us, and answers with its ACK.
      this.#offersUs = true;
      return bridge.media.negotiation.offer();
    }
    if (mediaTypeOf(request.headers.get('Content-Type') ?? sdpType) !== sdpType) {
      this.#refuse(415, 'Only session descriptions are understood', Headers.of({ Accept: sdpType }));
      return undefined;
    }
    const negotiated = bridge.media.answer(request.body);
    if (negotiated.ok) return negotiated.sdp;
    this.#refuse(negotiated.status, negotiated.reason);
    return undefined;
  }

  /** The caller's telephone rings, or with early media plays the ringing that we send. */
  #ring(sdp: Buffer): void {
    // Our offer may come before the answer only in a response that the caller acknowledges.
    if (!this.#context.earlyMedia || this.#offersUs) {
      this.#incoming.ring();
      return;
    }
    this.#incoming.progress(sdp);
    this.#bridge!.media.start();
    this.#ringBack(this.#bridge!);
  }

  /** Joins the room and publishes; an agent is asked by that. */
  async #bringIn(dispatched: Dispatched, status: 'ringing' | 'active'): Promise<void> {
    const { times, room: access, joins } = this.#context;
    this.#dispatched = dispatched;
    this.#log.isAbout(dispatched.room, dispatched.identity);
    const agentMs = durationMs(this.#trunk?.ringingTimeout) ?? times.agentMs;
    this.#deadline = setTimeout(() => this.#noAgent(agentMs), agentMs);
    const attributes = {
      ...dispatched.attributes,
      ...this.#callAttributes(),
      'sip.callStatus': status,
    };
    if (joins.isBusy) this.#log.begin('sip-turn');
    await joins.run(this.#abort.signal, async () => {
      this.#log.end('sip-turn');
      this.#log.begin('sip-room', access.url);
      const room = await RoomLeg.join(
        access,
        { ...dispatched, attributes },
        {
          onParticipant: () => this.#agentJoined(),
          onAudio: () => this.#heard(),
          onDtmf: (digit) => this.#bridge?.media.press(digit),
          onClosed: (reason) => this.#roomClosed(reason),
        },
        this.#abort.signal,
      );
      if (this.#finished) {
        room.abandon();
        return;
      }
      this.#room = room;
      this.#log.end('sip-room');
      if (!this.#isHeard && !this.#hasAgent) this.#log.begin('sip-agent', dispatched.room, agentMs);
      await room.publish(this.#bridge?.media.sampleRate ?? 8_000);
      this.#bridge?.join(room);
    });
  }

  #hasAgent = false;

  #agentJoined(): void {
    if (this.#hasAgent) return;
    this.#hasAgent = true;
    this.#log.end('sip-agent');
    if (!this.#isHeard) this.#log.begin('sip-audio');
  }

  #heard(): void {
    if (this.#isHeard) return;
    this.#isHeard = true;
    clearTimeout(this.#deadline);
    this.#log.end('sip-agent');
    this.#log.end('sip-audio');
    this.#whenHeard?.();
  }

  #answer(sdp: Buffer): void {
    if (this.#finished || this.#answered) return;
    if (!this.#incoming.mayAccept) {
      this.#incoming.onMayAccept = () => this.#answer(sdp);
      return;
    }
    this.#answered = true;
    const { session } = this.#incoming;
    session.onAcknowledged = () => this.#acknowledged();
    this.#log.begin('sip-answer');
    this.#incoming.accept(sdp, this.#trunkHeaders());
    session.onEnded = (why) => this.#finish('ok', why);
    this.#bridge?.media.playTone(undefined);
    // With our offer in the answer, where to send to is known with the ACK.
    this.#bridge?.start();
    this.#room?.setAttributes({ 'sip.callStatus': 'active' });
    const longestMs = durationMs(this.#trunk?.maxCallDuration) ?? this.#context.times.callMs;
    this.#longest = setTimeout(() => this.end('the longest time for a call is over'), longestMs);
  }

  #acknowledged(): void {
    this.#log.end('sip-answer');
    this.#log.begin('sip-call');
    this.#log.logger.info(`call ${this.callId}: answered: ${this.#log.summary()}`);
    if (this.#offersUs && this.#bridge?.media.codecName === undefined) this.end('the ACK had no answer');
  }

  /** Answers to ask for the PIN; the caller hears it ring again until an agent is there. */
  async #answerForPin(sdp: Buffer): Promise<void> {
    const bridge = this.#bridge!;
    const { session } = this.#incoming;
    this.#log.end('sip-invite');
    this.#answered = true;
    this.#incoming.accept(sdp, this.#trunkHeaders());
    session.onEnded = (why) => this.#finish('ok', why);
    bridge.start();
    for (let attempt = 1; ; attempt++) {
      bridge.media.playTone(playTone.prompt);
      const pin = await this.#readPin(bridge);
      if (pin === undefined || this.#finished) break;
      const result = this.#dispatch(pin);
      if (result.kind === 'room') {
        bridge.onDigit = undefined;
        this.#ringBack(bridge);
        await this.#bringIn(result.dispatched, 'active');
        return;
      }
      this.#log.logger.info(`call ${this.callId}: a wrong PIN`);
      bridge.media.playTone(playTone.refusal);
      if (attempt === limits.pinAttempts.value) break;
      await new Promise((resolve) => setTimeout(resolve, refusalMs));
    }
    if (this.#finished) return;
    await new Promise((resolve) => setTimeout(resolve, refusalMs));
    this.end('no PIN was entered that leads anywhere');
  }

  /** Digits up to `#`; undefined when none came for too long. */
  #readPin(bridge: Bridge): Promise<string | undefined> {
    return new Promise((resolve) => {
      let pin = '';
      let timer: NodeJS.Timeout;
      const settle = (result: string | undefined) => {
        clearTimeout(timer);
        this.#abort.signal.removeEventListener('abort', abandon);
        resolve(result);
      };
      const abandon = () => settle(undefined);
      const wait = () => setTimeout(abandon, this.#context.times.pinMs);
      timer = wait();
      this.#abort.signal.addEventListener('abort', abandon, { once: true });
      bridge.onDigit = (digit) => {
        clearTimeout(timer);
        timer = wait();
        if (digit === '#') settle(pin);
        else pin += digit;
        if (pin.length > limits.pinDigits.value) settle(pin);
      };
    });
  }

  #ringBack(bridge: Bridge): void {
    const again = () => {
      if (this.#isHeard || this.#finished) {
        bridge.media.playTone(undefined);
        return;
      }
      if (!bridge.media.isPlaying) bridge.media.playTone(playTone.ringback);
      setTimeout(again, 50).unref();
    };
    again();
  }

  #noAgent(agentMs: number): void {
    this.#log.end('sip-agent', 'deadline', `no agent within ${agentMs} ms`);
    this.#log.end('sip-audio', 'deadline', `an agent came, but no audio within ${agentMs} ms`);
    const why = this.#hasAgent ? 'The agent cannot be heard' : 'No agent answered';
    this.#log.logger.warn(`call ${this.callId}: ${why.toLowerCase()} within ${agentMs} ms`);
    if (this.#answered) this.end(why);
    else this.#refuse(480, why);
  }

  #roomClosed(reason: string): void {
    this.end(`the room was closed (${reason})`);
  }

  #refuse(status: number, why: string, headers = new Headers()): void {
    headers.add('Reason', this.#byeReason(status, why));
    if (!this.#incoming.isFinished) this.#incoming.reject(status, { headers });
    this.#finish(status === 480 ? 'deadline' : 'failed', `${status} ${why}`);
  }

  #byeReason(status: number, why: string): string {
    return `SIP;cause=${status};text="${why.replace(/["\\\r\n]/g, ' ').slice(0, 120)}"`;
  }

  #trunkHeaders(): Headers {
    const trunk = this.#trunk;
    if (!trunk) return new Headers();
    const mapped = attributesToHeaders(this.#room?.attributes ?? {}, trunk.attributesToHeaders);
    return Headers.of({ ...trunk.headers, ...mapped });
  }

  #callAttributes(): Record<string, string> {
    const { request } = this.#incoming;
    const trunk = this.#trunk;
    return {
      'sip.callIDFull': request.callId,
      'sip.callTag': tagOf(request.from) ?? '',
      'sip.hostname': isSipUri(request.from.uri) ? request.from.uri.host : '',
      ...(trunk ? headersToAttributes(request, trunk.headersToAttributes, trunk.includeHeaders) : {}),
    };
  }

  #finish(outcome: 'ok' | 'failed' | 'deadline' | 'abandoned', why: string): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#abort.abort();
    clearTimeout(this.#deadline);
    clearTimeout(this.#longest);
    if (outcome === 'ok') this.#room?.leave();
    else this.#room?.abandon();
    this.#bridge?.close();
    this.#incoming.session.end(why);
    this.#log.finish(outcome, why);
    this.#log.logger.info(`call ${this.callId}: ended: ${why}`);
    const { callingNumber, calledNumber } = this.#facts;
    this.#context.finished(
      this,
      {
        callId: this.callId,
        direction: 'inbound',
        from: callingNumber,
        to: calledNumber,
        room: this.roomName,
        outcome: why,
        timeline: this.#log.timeline.toJSON(),
        ladder: this.#log.ladder,
      },
      this.#incoming.request.callId,
    );
  }
}

/** Who calls whom, as trunks and rules need it. */
export function factsOf(request: SipRequest, sourceAddress: string): Omit<CallFacts, 'callId'> {
  return {
    sourceAddress,
    callingNumber: userOf(request.from.uri),
    calledNumber: userOf(request.to.uri) || userOf(request.uri),
  };
}

/** Whether media is encrypted, as trunks say it; over TLS it is when the phone can. */
export function encryptionOf(setting: SIPMediaEncryption | undefined, secure: boolean): MediaEncryption {
  if (setting === SIPMediaEncryption.SIP_MEDIA_ENCRYPT_REQUIRE) return 'require';
  if (setting === SIPMediaEncryption.SIP_MEDIA_ENCRYPT_ALLOW) return 'allow';
  return secure ? 'allow' : 'disable';
}

/** Milliseconds of a protobuf duration, as a timer takes them; undefined for none, and for one that is not positive. */
export function durationMs(duration: { seconds: bigint; nanos: number } | undefined): number | undefined {
  if (!duration) return undefined;
  const ms = Number(duration.seconds) * 1_000 + duration.nanos / 1e6;
  return ms > 0 ? timerMs(ms) : undefined;
}
