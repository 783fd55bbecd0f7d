import { describeError } from '../errors/index.js';
import { createLogger, type Logger, type LogSubject } from '../logging/index.js';
import { type HeaderExtension, RtpSender, type RtpSenderStats } from '../rtp/index.js';
import { codecPackage, payloadFormats, type VideoCodec } from './codec.js';
import type { EncodedVideoFrame } from './encoded-video-source.js';
import { type FrameMetadata, maxUserDataBytes, withMetadata } from './frame-metadata.js';
import { FrameRate } from './frame-rate.js';
import type { Picture, VideoFrame } from './picture.js';
import { VideoEncoder } from './video-encoder.js';
import type { VideoLayerPlan } from './video-layers.js';
import type { FrameTransform } from './video-receiver.js';

const log = createLogger('video');

/** One stream of a published track. */
export interface VideoLayerOptions {
  plan: VideoLayerPlan;
  ssrc: number;
  /** The stream of retransmissions (RFC 4588), where it was agreed on. */
  repair?: { ssrc: number; payloadType: number };
}

/** What the layers of a track have in common. */
export interface VideoLayerContext {
  codec: VideoCodec;
  payloadType: number;
  send: (packet: Buffer) => void;
  sendAgain: (packet: Buffer) => void;
  midExtension?: { id: number; mid: string };
  ridExtension?: { id: number; repairedId: number | undefined };
  orientationExtensionId?: number;
  transportSequenceId?: number;
  cname: string;
  random: () => number;
  transform?: FrameTransform;
  /** Whether the frames' metadata is sent, as was announced for the track. */
  sendsMetadata?: boolean;
  /** Frames come encoded: takes requests for a key frame. Without it the layer encodes. */
  onKeyFrameWanted?: () => void;
  /** For logs. */
  subject?: LogSubject;
}

/** What is known of a captured picture besides its pixels. */
interface Capture {
  atMs: number;
  rotation: VideoFrame['rotation'];
  metadata: FrameMetadata | undefined;
}

export interface VideoLayerStats extends RtpSenderStats {
  rid: string | undefined;
  codec: VideoCodec;
  framesEncoded: number;
  keyFramesEncoded: number;
  /** Captured while the encoder was behind, or faster than the layer's frame rate or the path. */
  framesDropped: number;
  pliCount: number;
  width: number;
  height: number;
  targetBitrateBps: number;
  isActive: boolean;
  framesPerSecond: number;
  totalEncodeMs: number;
  /** What encodes; empty where frames come encoded. */
  encoderName: string;
  /** Less is sent than wanted because the path carries less; and for how long that and its opposite were so. */
  isLimited: boolean;
  limitedMs: number;
  unlimitedMs: number;
  /** When the last frame left, monotonic; undefined before. */
  lastPacketSentMs: number | undefined;
}

/** With RTP, SRTP and an IPv6 header below 1,280 bytes, which every path carries. */
const maxPayloadBytes = 1_150;
const historyPackets = 1_024;
const keyFrameIntervalMs = 300;
/** An encoder restarts with another bit rate, at a key frame: so the bit rate changes seldom, and in large steps. */
const slowerAfterMs = 1_000;
const fasterAfterMs = 4_000;
const slowerBy = 0.85;
const fasterBy = 1.3;
const paddingAfterMs = 500;
/** What may be sent beyond a bit rate that is less than wanted, before frames are left out. */
const maxDebtMs = 400;

/** One encoder and one RTP stream: the way of a picture is [limit the rate, encode, encrypt, cut into packets, number, send]. */
export class VideoLayer {
  readonly plan: VideoLayerPlan;
  readonly ssrc: number;
  #context: VideoLayerContext;
  #log: Logger;
  /** Undefined where frames come encoded. */
  #encoder: VideoEncoder | undefined;
  #rtp: RtpSender;
  #firstTimestamp: number;
  #startedMs = performance.now();
  #nextFrameMs = Number.NEGATIVE_INFINITY;
  #keyFrameWanted = true;
  #lastKeyFrameMs = Number.NEGATIVE_INFINITY;
  /** What may be sent, and what the encoder was set to. */
  #bitrateBps: number;
  #encoderBps: number;
  #encoderSetMs = 0;
  #debtBytes = 0;
  #debtAtMs = performance.now();
  #nextId = 0;
  #pictureId = 0;
  #underWay = new Map<number, Capture>();
  #transforming: Promise<void> | undefined;
  #lastTimestamp = 0;
  #sentMs = Number.NEGATIVE_INFINITY;
  #size = { width: 0, height: 0 };
  #framesDropped = 0;
  /** Of frames that come encoded: how many, when the first one was captured, and whether a key frame must come. */
  #framesTaken = 0;
  #firstCapture: { us: number; atMs: number } | undefined;
  #isBroken = true;
  #keyFramesEncoded = 0;
  #pliCount = 0;
  #active = true;
  #leftOutUserData = false;
  #rate = new FrameRate();
  #limitedMs = 0;
  #limitedSinceMs: number | undefined;
  #closed = false;

  constructor({ plan, ssrc, repair }: VideoLayerOptions, context: VideoLayerContext) {
    const { codec, payloadType, cname, random, send, sendAgain, midExtension, ridExtension } = context;
    this.plan = plan;
    this.ssrc = ssrc;
    this.#context = context;
    this.#log = log.about(context.subject ?? {});
    this.#bitrateBps = plan.maxBitrateBps;
    this.#encoderBps = plan.maxBitrateBps;
    this.#firstTimestamp = Math.floor(random() * 0xffffffff);
    if (!context.onKeyFrameWanted)
      this.#encoder = new VideoEncoder({
        codec,
        log: this.#log,
        framesPerSecond: plan.maxFramesPerSecond,
        onFrame: (data, isKeyFrame, id) => this.#onEncoded(data, isKeyFrame, id),
        onUnavailable: (error) => this.#log.error(`a video track cannot be sent: ${describeError(error)}`),
      });
    this.#rtp = new RtpSender({
      ssrc,
      payloadType,
      clockRate: 90_000,
      send,
      sendAgain,
      wallClockMs: Date.now,
      cname,
      random,
      historyPackets,
      transportSequenceId: context.transportSequenceId,
      ...(repair ? { repair } : {}),
      ...(midExtension ? { midExtension } : {}),
      ...(ridExtension && plan.rid ? { ridExtension: { ...ridExtension, rid: plan.rid } } : {}),
    });
  }

  get isActive(): boolean {
    return this.#active;
  }

  /** A layer that nobody watches, or that the path does not carry, is not encoded. */
  setActive(active: boolean): void {
    if (active === this.#active) return;
    this.#active = active;
    if (active) this.wantKeyFrame();
  }

  /** What the layer may send of what it wants. */
  setBitrate(bitrateBps: number): void {
    this.#bitrateBps = Math.min(bitrateBps, this.plan.maxBitrateBps);
    if (!this.#isLimited) {
      this.#limitedMs = this.#limitedForMs(performance.now());
      this.#limitedSinceMs = undefined;
    } else this.#limitedSinceMs ??= performance.now();
    const sinceMs = performance.now() - this.#encoderSetMs;
    const isMuchLess = this.#bitrateBps < slowerBy * this.#encoderBps && sinceMs > slowerAfterMs;
    const isMuchMore = this.#bitrateBps > fasterBy * this.#encoderBps && sinceMs > fasterAfterMs;
    const isAll = this.#bitrateBps === this.plan.maxBitrateBps && this.#encoderBps < this.#bitrateBps;
    if (!isMuchLess && !isMuchMore && !(isAll && sinceMs > fasterAfterMs)) return;
    this.#encoderBps = this.#bitrateBps;
    this.#encoderSetMs = performance.now();
  }

  wantKeyFrame(): void {
    this.#keyFrameWanted = true;
    this.#context.onKeyFrameWanted?.();
  }

  /** Whether a picture captured now would be sent. Runs once for each captured picture, before it is scaled. */
  wants(nowMs: number): boolean {
    if (!this.#active || this.#closed) return false;
    // A program's timer is not exact: what comes a little early counts.
    const isEarly = nowMs < this.#nextFrameMs - 200 / this.plan.maxFramesPerSecond;
    if (!isEarly && !this.#isInDebt(nowMs)) return true;
    this.#framesDropped++;
    return false;
  }

  /** Takes a picture of the layer's size, whose bytes are read during the call. */
  encode(picture: Picture, capture: Capture): void {
    const { atMs: nowMs } = capture;
    const isKeyFrame = this.#keyFrameWanted && nowMs - this.#lastKeyFrameMs > keyFrameIntervalMs;
    const id = this.#nextId++;
    if (!this.#encoder?.encode(picture, this.#encoderBps, isKeyFrame, id)) return;
    const intervalMs = 1_000 / this.plan.maxFramesPerSecond;
    // On a schedule, so that of 30 frames a second 20 are sent where 20 may be, and not 15.
    this.#nextFrameMs = Math.max(this.#nextFrameMs + intervalMs, nowMs);
    this.#size = { width: picture.width, height: picture.height };
    this.#underWay.set(id, capture);
    if (!isKeyFrame) return;
    this.#keyFrameWanted = false;
    this.#lastKeyFrameMs = nowMs;
  }

  /**
   * Sends a frame that was encoded elsewhere, once for each. Where one was left out (`isSent`), receivers can decode
   * nothing before the next key frame.
   */
  takeEncoded(frame: EncodedVideoFrame, isSent: boolean, nowMs: number): void {
    const { data, isKeyFrame, width, height, timestampUs: us, metadata } = frame;
    if (!isSent || !this.#active || (this.#isBroken && !isKeyFrame)) {
      this.#framesDropped++;
      if (!this.#isBroken || isSent) this.wantKeyFrame();
      this.#isBroken = true;
      return;
    }
    this.#isBroken = false;
    this.#framesTaken++;
    this.#firstCapture ??= { us, atMs: nowMs };
    const id = this.#nextId++;
    const atMs = this.#firstCapture.atMs + (us - this.#firstCapture.us) / 1_000;
    this.#size = { width, height };
    this.#underWay.set(id, { atMs, rotation: 0, metadata });
    this.#onEncoded(Buffer.from(data), isKeyFrame, id);
  }

  /** Sends a packet without content; false unless a frame was sent a moment ago. */
  sendPadding(): boolean {
    if (!this.#active || performance.now() - this.#sentMs > paddingAfterMs) return false;
    this.#rtp.sendPadding(this.#lastTimestamp);
    return true;
  }

  /** A receiver asks for a key frame. */
  handlePli(): void {
    this.#pliCount++;
    this.wantKeyFrame();
  }

  /** Takes reports, and requests for lost packets. */
  handleRtcp(packet: Buffer): void {
    this.#rtp.handleRtcp(packet);
  }

  get #isLimited(): boolean {
    return this.#bitrateBps < this.plan.maxBitrateBps;
  }

  #limitedForMs(nowMs: number): number {
    return this.#limitedMs + (this.#limitedSinceMs === undefined ? 0 : nowMs - this.#limitedSinceMs);
  }

  stats(): VideoLayerStats {
    const nowMs = performance.now();
    const limitedMs = this.#limitedForMs(nowMs);
    return {
      ...this.#rtp.stats,
      rid: this.plan.rid,
      codec: this.#context.codec,
      framesEncoded: this.#encoder?.framesEncoded ?? this.#framesTaken,
      keyFramesEncoded: this.#keyFramesEncoded,
      framesDropped: this.#framesDropped + (this.#encoder?.framesDropped ?? 0),
      pliCount: this.#pliCount,
      ...this.#size,
      targetBitrateBps: this.#bitrateBps,
      isActive: this.#active,
      framesPerSecond: this.#rate.perSecond(nowMs),
      totalEncodeMs: this.#encoder?.totalEncodeMs ?? 0,
      encoderName: this.#encoder ? codecPackage : '',
      isLimited: this.#isLimited,
      limitedMs,
      unlimitedMs: nowMs - this.#startedMs - limitedMs,
      lastPacketSentMs: Number.isFinite(this.#sentMs) ? this.#sentMs : undefined,
    };
  }

  close(): void {
    this.#closed = true;
    this.#encoder?.close();
  }

  /** The encoder sends more than it may, because it was set to more or cannot do with less: frames are left out. */
  #isInDebt(nowMs: number): boolean {
    const bytesPerMs = this.#bitrateBps / 8_000;
    this.#debtBytes = Math.max(0, this.#debtBytes - (nowMs - this.#debtAtMs) * bytesPerMs);
    this.#debtAtMs = nowMs;
    return this.#bitrateBps < this.plan.maxBitrateBps && this.#debtBytes > maxDebtMs * bytesPerMs;
  }

  #onEncoded(data: Buffer, isKeyFrame: boolean, id: number): void {
    const known = this.#underWay.get(id);
    for (const earlier of this.#underWay.keys()) if (earlier <= id) this.#underWay.delete(earlier);
    if (!known || this.#closed) return;
    if (isKeyFrame) this.#keyFramesEncoded++;
    this.#debtBytes += data.length;
    const { transform, codec } = this.#context;
    if (!transform) {
      this.#send(data, isKeyFrame, known);
      return;
    }
    this.#transforming = (this.#transforming ?? Promise.resolve())
      .then(async () => {
        const plain = payloadFormats[codec].forEncryption?.(data) ?? data;
        const encrypted = await transform(plain, { codec, isKeyFrame });
        if (encrypted) this.#send(encrypted, isKeyFrame, known);
      })
      .catch((error: unknown) => this.#log.debug(`a frame could not be encrypted: ${describeError(error)}`));
  }

  #send(frame: Buffer, isKeyFrame: boolean, { atMs, rotation, metadata }: Capture): void {
    if (this.#closed) return;
    const { codec, orientationExtensionId, sendsMetadata } = this.#context;
    if (sendsMetadata && metadata) this.#checkUserData(metadata);
    const data = sendsMetadata && metadata ? withMetadata(frame, metadata, codec) : frame;
    const timestamp = (this.#firstTimestamp + Math.round((atMs - this.#startedMs) * 90)) >>> 0;
    const pictureId = this.#pictureId++;
    const payloads = payloadFormats[codec].packetize({ data, isKeyFrame, pictureId }, maxPayloadBytes);
    for (const [index, payload] of payloads.entries()) {
      const isLast = index === payloads.length - 1;
      const extensions: HeaderExtension[] =
        isLast && orientationExtensionId !== undefined
          ? [{ id: orientationExtensionId, data: Uint8Array.of(rotation / 90) }]
          : [];
      this.#rtp.send(payload, timestamp, isLast, extensions);
    }
    this.#lastTimestamp = timestamp;
    this.#sentMs = performance.now();
    this.#rate.count(this.#sentMs);
    this.#rtp.reportIfDue(timestamp, this.#sentMs);
  }

  /** Logs once that user data is too long to be sent. */
  #checkUserData(metadata: FrameMetadata): void {
    const { length } = metadata.userData ?? [];
    const maxBytes = maxUserDataBytes(metadata);
    if (this.#leftOutUserData || length <= maxBytes) return;
    this.#leftOutUserData = true;
    this.#log.warn(`user data of ${length} bytes is not sent with frames: ${maxBytes} bytes fit`);
  }
}
