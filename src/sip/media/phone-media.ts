import { randomBytes } from 'node:crypto';
import { AudioReceiver, type AudioReceiverStats, sharedTicker, type Ticker } from '../../audio/index.js';
import { isRtcp, parseRtp, RtpSender } from '../../rtp/index.js';
import { SrtpContext } from '../../transport/index.js';
import type { AudioEncoder } from './codecs.js';
import { Mixer } from './mixer.js';
import { type MediaEncryption, type Negotiated, type NegotiatedMedia, Negotiation } from './negotiation.js';
import { type PortRange, type RtpAddress, RtpSocket } from './rtp-socket.js';
import type { Direction } from './sdp.js';
import { type DtmfDigit, DtmfReceiver, DtmfSender } from './telephone-event.js';
import { playTone } from './tones.js';

export interface PhoneMediaOptions {
  /** Address to bind to. */
  bindAddress: string;
  /** Address that the peer is told. */
  address: string;
  /** Where the peer's signalling comes from: media from there is the peer's. */
  signallingAddress?: string;
  ports?: PortRange;
  encryption?: MediaEncryption;
  /** Only these codecs, by name. */
  codecs?: readonly string[];
  ticker?: Ticker;
  /** Called for every 10 ms that the peer says; samples are valid during the call. */
  onAudio(samples: Int16Array, sampleRate: number): void;
  onDtmf(digit: DtmfDigit): void;
}

export interface PhoneMediaStats {
  codec: string | undefined;
  encrypted: boolean;
  packetsSent: number;
  received: AudioReceiverStats | undefined;
  /** Packets that came from an address that is not the peer's, or failed authentication. */
  packetsRefused: number;
}

/** Media from an address that nobody told us of is taken after this long without any from where it was expected. */
const unexpectedAfterMs = 2_000;
const emptySamples = new Int16Array(0);

/**
 * The audio of one telephone call: RTP both ways behind NAT or not, in the codec that was agreed, with DTMF. What the
 * phone says comes out 10 ms at a time; what it hears is the mix.
 */
export class PhoneMedia {
  readonly negotiation: Negotiation;
  readonly #options: PhoneMediaOptions;
  readonly #socket: RtpSocket;
  readonly #ticker: Ticker;
  #media: NegotiatedMedia | undefined;
  #receiver: AudioReceiver | undefined;
  #mixer: Mixer | undefined;
  #encoder: AudioEncoder | undefined;
  #sender: RtpSender | undefined;
  #srtp: SrtpContext | undefined;
  #dtmfReceiver = new DtmfReceiver();
  #dtmfSender: DtmfSender | undefined;
  #remote: RtpAddress | undefined;
  #remoteRtcp: RtpAddress | undefined;
  #timestamp = randomBytes(4).readUInt32BE();
  #ssrc = 0;
  #pending: Int16Array = emptySamples;
  #filled = 0;
  #isTalking = false;
  #tone: ((sampleRate: number) => Int16Array) | undefined;
  #sending = false;
  #lastHeardMs: number;
  #lastExpectedMs: number;
  #refused = 0;
  #closed = false;

  private constructor(socket: RtpSocket, options: PhoneMediaOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#ticker = options.ticker ?? sharedTicker();
    this.#lastHeardMs = this.#ticker.clock.nowMs();
    this.#lastExpectedMs = this.#lastHeardMs;
    const { address, encryption, codecs } = options;
    this.negotiation = new Negotiation(
      { address, port: socket.port, rtcpPort: socket.rtcpPort },
      { ...(encryption ? { encryption } : {}), ...(codecs ? { codecs } : {}) },
    );
    socket.onRtp = (packet, from) => this.#receiveRtp(packet, from);
    socket.onRtcp = (packet, from) => this.#receiveRtcp(packet, from);
  }

  /** @throws OffhookError `OFFHOOK_UNREACHABLE` when no ports are free */
  static async open(options: PhoneMediaOptions): Promise<PhoneMedia> {
    return new PhoneMedia(await RtpSocket.open(options.bindAddress, options.ports), options);
  }

  /** Of what the phone hears; undefined before something is agreed. */
  get mixer(): Mixer | undefined {
    return this.#mixer;
  }

  get codecName(): string | undefined {
    return this.#media?.codec.name;
  }

  /** Of the samples both ways, in Hz; undefined before something is agreed. */
  get sampleRate(): number | undefined {
    return this.#media?.codec.sampleRate;
  }

  /** Milliseconds since the peer was last heard, or since media began. */
  get silentMs(): number {
    return this.#ticker.clock.nowMs() - this.#lastHeardMs;
  }

  /** Whether the peer is meant to send now: it is not on hold. */
  get expectsMedia(): boolean {
    return this.#media !== undefined && sends(this.#media.direction, 'peer');
  }

  /** Answers an offer and takes what was agreed. */
  answer(offer: Buffer): Negotiated {
    const negotiated = this.negotiation.answer(offer);
    if (negotiated.ok) this.#apply(negotiated.media);
    return negotiated;
  }

  /** Takes the answer to our own offer. */
  accept(answer: Buffer): ReturnType<Negotiation['accept']> {
    const accepted = this.negotiation.accept(answer);
    if (accepted.ok) this.#apply(accepted.media);
    return accepted;
  }

  /** Begins to send, where that has not begun with early media, and counts the peer's silence from now on. */
  start(): void {
    if (this.#closed) return;
    this.#lastHeardMs = this.#ticker.clock.nowMs();
    this.#lastExpectedMs = this.#lastHeardMs;
    if (this.#sending) return;
    this.#sending = true;
    this.#ticker.add(this.#onTick);
  }

  /** Presses keys towards the peer: as telephone events, or as tones to a peer that does not know those. */
  press(digits: string): void {
    if (this.#dtmfSender) this.#dtmfSender.press(digits);
    else this.playTone((rate) => playTone.digits(digits, rate));
  }

  /** Plays something to the peer in place of the mix, once; `undefined` stops it. */
  playTone(make: ((sampleRate: number) => Int16Array) | undefined): void {
    this.#tone = make;
    this.#toneSamples = undefined;
    this.#toneAt = 0;
  }

  get isPlaying(): boolean {
    return this.#tone !== undefined;
  }

  stats(): PhoneMediaStats {
    return {
      codec: this.codecName,
      encrypted: this.#srtp !== undefined,
      packetsSent: this.#sender?.stats.packetsSent ?? 0,
      received: this.#receiver?.stats(),
      packetsRefused: this.#refused,
    };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#ticker.remove(this.#onTick);
    this.#receiver?.close();
    this.#encoder?.close();
    this.#socket.close();
  }

  #toneSamples: Int16Array | undefined;
  #toneAt = 0;

  #apply(media: NegotiatedMedia): void {
    const before = this.#media;
    this.#media = media;
    const { remote, codec, payloadType } = media;
    const moved = !before || before.remote.address !== remote.address || before.remote.port !== remote.port;
    if (moved) {
      this.#remote = remote.port === 0 ? undefined : { address: remote.address, port: remote.port };
      this.#remoteRtcp = { address: remote.rtcpAddress, port: remote.rtcpPort };
    }
    const hasNewKeys = this.#applyKeys(before, media);
    if (!this.#dtmfSender || before?.dtmfPayloadType !== media.dtmfPayloadType) {
      this.#dtmfSender =
        media.dtmfPayloadType === undefined ? undefined : new DtmfSender(media.dtmfClockRate);
    }
    if (!hasNewKeys && before?.codec === codec && before.payloadType === payloadType) return;
    // Sequence numbers and counts begin again, which under our key the same SSRC must not (RFC 3711, section 9.1).
    this.#ssrc = randomBytes(4).readUInt32BE();
    this.#openReceiver(media);
    this.#openSender(media);
  }

  /** @returns whether packets are encrypted with other keys from now on */
  #applyKeys(before: NegotiatedMedia | undefined, { srtp }: NegotiatedMedia): boolean {
    const same =
      before?.srtp !== undefined &&
      srtp !== undefined &&
      before.srtp.profile === srtp.profile &&
      before.srtp.remote.key.equals(srtp.remote.key);
    // The same keys keep their context: its counters must never start again.
    if (!same) this.#srtp = srtp && new SrtpContext(srtp.profile, srtp.local, srtp.remote);
    return !same && srtp !== undefined;
  }

  #openReceiver({ codec, payloadType }: NegotiatedMedia): void {
    this.#receiver?.close();
    const { received, sampleRate } = codec;
    this.#receiver = new AudioReceiver({
      payloadTypes: new Map([[payloadType, received.name]]),
      codec: received,
      ticker: this.#ticker,
      localSsrc: this.#ssrc,
      sendRtcp: (packet) => this.#sendRtcp(packet),
    });
    this.#receiver.openStream({
      sampleRate,
      numChannels: 1,
      onFrame: ({ data }) => this.#options.onAudio(data, sampleRate),
      onEnd: () => {},
    });
  }

  #openSender({ codec, payloadType, ptimeMs }: NegotiatedMedia): void {
    this.#encoder?.close();
    this.#encoder = codec.createEncoder();
    if (this.#mixer?.sampleRate !== codec.sampleRate) this.#mixer = new Mixer(codec.sampleRate);
    this.#pending = new Int16Array((codec.sampleRate * ptimeMs) / 1_000);
    this.#filled = 0;
    this.#sender = new RtpSender({
      ssrc: this.#ssrc,
      payloadType,
      clockRate: codec.clockRate,
      send: (packet) => this.#sendPacket(packet),
      wallClockMs: this.#ticker.clock.wallClockMs,
      cname: 'offhook',
      random: Math.random,
    });
  }

  /** Runs a hundred times a second and call: mixes 10 ms, and sends a packet every second time. */
  #onTick = {
    tick: (nowMs: number): void => {
      const { mixer } = this;
      const media = this.#media;
      if (!media || !mixer) return;
      const samples = this.#nextSamples(mixer);
      this.#pending.set(samples, this.#filled);
      this.#filled += samples.length;
      if (this.#filled < this.#pending.length) return;
      this.#filled = 0;
      this.#sendFrame(media);
      this.#sender?.reportIfDue(this.#timestamp, nowMs);
    },
  };

  #nextSamples(mixer: Mixer): Int16Array {
    const mixed = mixer.take();
    if (!this.#tone) return mixed;
    this.#toneSamples ??= this.#tone(mixer.sampleRate);
    const piece = this.#toneSamples.subarray(this.#toneAt, this.#toneAt + mixed.length);
    this.#toneAt += piece.length;
    if (this.#toneAt >= this.#toneSamples.length) this.playTone(undefined);
    if (piece.length === mixed.length) return piece;
    const last = new Int16Array(mixed.length);
    last.set(piece);
    return last;
  }

  #sendFrame({ codec, dtmfPayloadType, direction, ptimeMs }: NegotiatedMedia): void {
    const timestamp = this.#timestamp >>> 0;
    this.#timestamp = (this.#timestamp + (codec.clockRate * ptimeMs) / 1_000) >>> 0;
    const sender = this.#sender;
    if (!sender || !this.#remote || !sends(direction, 'us')) {
      this.#isTalking = false;
      return;
    }
    const event = this.#dtmfSender?.step(timestamp);
    if (event && dtmfPayloadType !== undefined) {
      for (let i = 0; i < event.repeats; i++) {
        sender.send(event.payload, event.timestamp, event.marker && i === 0, [], dtmfPayloadType);
      }
      this.#isTalking = false;
      return;
    }
    sender.send(this.#encoder!.encode(this.#pending), timestamp, !this.#isTalking);
    this.#isTalking = true;
  }

  /** RTP and reports of the sender come the same way; they part here. */
  #sendPacket(packet: Buffer): void {
    if (isRtcp(packet)) {
      this.#sendRtcp(packet);
      return;
    }
    if (this.#remote) this.#socket.sendRtp(this.#srtp ? this.#srtp.protectRtp(packet) : packet, this.#remote);
  }

  #sendRtcp(packet: Buffer): void {
    if (!this.#sending || !this.#remote) return;
    const sealed = this.#srtp ? this.#srtp.protectRtcp(packet) : packet;
    if (this.#media?.rtcpMux) this.#socket.sendRtp(sealed, this.#remote);
    else if (this.#remoteRtcp) this.#socket.sendRtcp(sealed, this.#remoteRtcp);
  }

  /** Runs for every packet that is received. */
  #receiveRtp(packet: Buffer, from: RtpAddress): void {
    if (!this.#media || this.#closed) return;
    if (isRtcp(packet)) {
      this.#receiveRtcp(packet, from);
      return;
    }
    if (!this.#isFromPeer(from)) {
      this.#refused++;
      return;
    }
    const plain = this.#srtp ? this.#srtp.unprotectRtp(packet) : packet;
    const rtp = plain && parseRtp(plain);
    const { payloadType, dtmfPayloadType } = this.#media;
    if (!rtp || (rtp.payloadType !== payloadType && rtp.payloadType !== dtmfPayloadType)) {
      this.#refused++;
      return;
    }
    this.#follow(from);
    if (rtp.payloadType === dtmfPayloadType) {
      const digit = this.#dtmfReceiver.receive(rtp.payload, rtp.timestamp, rtp.ssrc);
      if (digit) this.#options.onDtmf(digit);
      return;
    }
    this.#receiver?.handlePacket(plain);
  }

  #receiveRtcp(packet: Buffer, from: RtpAddress): void {
    if (!this.#media || this.#closed || !this.#isFromPeer(from)) return;
    const plain = this.#srtp ? this.#srtp.unprotectRtcp(packet) : packet;
    if (!plain || !isRtcp(plain)) return;
    const remote = this.#remoteRtcp;
    if (from.address !== remote?.address || from.port !== remote.port) this.#remoteRtcp = { ...from };
    this.#receiver?.handlePacket(plain);
    this.#sender?.handleRtcp(plain);
  }

  /**
   * Whether packets from there are the peer's: from the address of its description or of its signalling. From anywhere
   * else only when none of those is heard, as behind a NAT with several addresses; with SRTP the keys decide.
   */
  #isFromPeer({ address }: RtpAddress): boolean {
    const { signallingAddress } = this.#options;
    const nowMs = this.#ticker.clock.nowMs();
    if (address === this.#media?.remote.address || address === signallingAddress) {
      this.#lastExpectedMs = nowMs;
      return true;
    }
    return this.#srtp !== undefined || nowMs - this.#lastExpectedMs > unexpectedAfterMs;
  }

  /** Symmetric RTP: we send to where the peer sends from, which behind a NAT is not what its description says. */
  #follow(from: RtpAddress): void {
    this.#lastHeardMs = this.#ticker.clock.nowMs();
    const remote = this.#remote;
    if (remote && remote.port === from.port && remote.address === from.address) return;
    this.#remote = { address: from.address, port: from.port };
  }
}

function sends(direction: Direction, who: 'us' | 'peer'): boolean {
  return direction === 'sendrecv' || direction === (who === 'us' ? 'sendonly' : 'recvonly');
}
