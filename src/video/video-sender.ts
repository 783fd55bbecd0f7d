import { describeError } from '../errors/index.js';
import { createLogger, type Logger, type LogSubject } from '../logging/index.js';
import { type HeaderExtension, parseRtcp, RtpSender, type RtpSenderStats } from '../rtp/index.js';
import { payloadFormats, type VideoCodec } from './codec.js';
import type { VideoFrame } from './picture.js';
import { VideoEncoder } from './video-encoder.js';
import type { FrameTransform } from './video-receiver.js';
import type { VideoSource } from './video-source.js';

const log = createLogger('video');

export interface VideoSenderOptions {
  source: VideoSource;
  codec: VideoCodec;
  ssrc: number;
  payloadType: number;
  /** The stream of retransmissions (RFC 4588), where it was agreed on. */
  repair?: { ssrc: number; payloadType: number };
  maxBitrateBps: number;
  maxFramesPerSecond: number;
  /** Takes RTP and RTCP packets. */
  send: (packet: Buffer) => void;
  midExtension?: { id: number; mid: string };
  orientationExtensionId?: number;
  cname: string;
  /** 0 to 1, for the first sequence number and timestamp (RFC 3550, section 5.1). */
  random: () => number;
  /** Encrypts. */
  transform?: FrameTransform;
  /** For logs. */
  subject?: LogSubject;
}

export interface VideoSenderStats extends RtpSenderStats {
  codec: VideoCodec;
  framesEncoded: number;
  keyFramesEncoded: number;
  /** Captured while the encoder was behind, or faster than the track's frame rate. */
  framesDropped: number;
  pliCount: number;
  width: number;
  height: number;
  targetBitrateBps: number;
}

/** With RTP, SRTP and an IPv6 header below 1,280 bytes, which every path carries. */
const maxPayloadBytes = 1_150;
const historyPackets = 1_024;
const keyFrameIntervalMs = 300;
const minBitrateBps = 60_000;
/** The encoder begins anew with another bit rate, so it changes seldom. */
const adaptIntervalMs = 2_000;
const heavyLoss = 0.1;
const lightLoss = 0.02;

/**
 * Sends one source. The way of a picture is [limit the rate, encode, encrypt, cut into packets, number and send]; what
 * receivers lost is sent again, and a key frame is made when one asks.
 */
export class VideoSender {
  #options: VideoSenderOptions;
  #log: Logger;
  #encoder: VideoEncoder;
  #rtp: RtpSender;
  #firstTimestamp: number;
  #startedMs = performance.now();
  #lastFrameMs = Number.NEGATIVE_INFINITY;
  #keyFrameWanted = true;
  #lastKeyFrameMs = Number.NEGATIVE_INFINITY;
  #muted = false;
  #closed = false;
  /** Nobody watches. */
  #paused = false;
  #bitrateBps: number;
  #adaptedMs = 0;
  #nextId = 0;
  #pictureId = 0;
  #underWay = new Map<number, { atMs: number; rotation: VideoFrame['rotation'] }>();
  #transforming: Promise<void> | undefined;
  #size = { width: 0, height: 0 };
  #framesDropped = 0;
  #keyFramesEncoded = 0;
  #pliCount = 0;

  constructor(options: VideoSenderOptions) {
    const { codec, ssrc, payloadType, repair, midExtension, cname, random, send } = options;
    this.#options = options;
    this.#log = log.about(options.subject ?? {});
    this.#bitrateBps = options.maxBitrateBps;
    this.#firstTimestamp = Math.floor(random() * 0xffffffff);
    this.#encoder = new VideoEncoder({
      codec,
      log: this.#log,
      framesPerSecond: options.maxFramesPerSecond,
      onFrame: (data, isKeyFrame, id) => this.#onEncoded(data, isKeyFrame, id),
      onUnavailable: (error) => this.#log.error(`a video track cannot be sent: ${describeError(error)}`),
    });
    this.#rtp = new RtpSender({
      ssrc,
      payloadType,
      clockRate: 90_000,
      send,
      wallClockMs: Date.now,
      cname,
      random,
      historyPackets,
      ...(repair ? { repair } : {}),
      ...(midExtension ? { midExtension } : {}),
    });
  }

  start(): void {
    this.#options.source.attach(this.#sink);
  }

  /** While muted nothing is sent. */
  setMuted(muted: boolean): void {
    if (this.#muted && !muted) this.#keyFrameWanted = true;
    this.#muted = muted;
  }

  /** While nobody watches nothing is encoded (dynacast). */
  setPaused(paused: boolean): void {
    if (this.#paused && !paused) this.#keyFrameWanted = true;
    this.#paused = paused;
  }

  /** Takes reports, requests for lost packets, and requests for key frames. */
  handleRtcp(packet: Buffer): void {
    if (this.#closed) return;
    this.#rtp.handleRtcp(packet);
    for (const report of parseRtcp(packet)) {
      if (report.type === 'pli' && report.mediaSsrc === this.#options.ssrc) {
        this.#pliCount++;
        this.#keyFrameWanted = true;
      }
      if (report.type === 'receiverReport' || report.type === 'senderReport') {
        const block = report.reports.find(({ ssrc }) => ssrc === this.#options.ssrc);
        if (block) this.#adapt(block.fractionLost);
      }
    }
  }

  stats(): VideoSenderStats {
    return {
      ...this.#rtp.stats,
      codec: this.#options.codec,
      framesEncoded: this.#encoder.framesEncoded,
      keyFramesEncoded: this.#keyFramesEncoded,
      framesDropped: this.#framesDropped + this.#encoder.framesDropped,
      pliCount: this.#pliCount,
      ...this.#size,
      targetBitrateBps: this.#bitrateBps,
    };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#options.source.detach(this.#sink);
    this.#encoder.close();
  }

  #sink = {
    onFrame: ({ picture, rotation }: VideoFrame): void => {
      if (this.#closed || this.#muted || this.#paused) return;
      const nowMs = performance.now();
      // A program's timer is not exact: what comes a little early counts.
      if (nowMs - this.#lastFrameMs < 800 / this.#options.maxFramesPerSecond) {
        this.#framesDropped++;
        return;
      }
      const isKeyFrame = this.#keyFrameWanted && nowMs - this.#lastKeyFrameMs > keyFrameIntervalMs;
      const id = this.#nextId++;
      if (!this.#encoder.encode(picture, this.#bitrateBps, isKeyFrame, id)) return;
      this.#lastFrameMs = nowMs;
      this.#size = { width: picture.width, height: picture.height };
      this.#underWay.set(id, { atMs: nowMs, rotation });
      if (!isKeyFrame) return;
      this.#keyFrameWanted = false;
      this.#lastKeyFrameMs = nowMs;
    },
  };

  #onEncoded(data: Buffer, isKeyFrame: boolean, id: number): void {
    const known = this.#underWay.get(id);
    for (const earlier of this.#underWay.keys()) if (earlier <= id) this.#underWay.delete(earlier);
    if (!known || this.#closed) return;
    if (isKeyFrame) this.#keyFramesEncoded++;
    const { transform, codec } = this.#options;
    if (!transform) {
      this.#send(data, isKeyFrame, known);
      return;
    }
    this.#transforming = (this.#transforming ?? Promise.resolve())
      .then(async () => {
        const encrypted = await transform(data, { codec, isKeyFrame });
        if (encrypted) this.#send(encrypted, isKeyFrame, known);
      })
      .catch((error: unknown) => this.#log.debug(`a frame could not be encrypted: ${describeError(error)}`));
  }

  #send(
    data: Buffer,
    isKeyFrame: boolean,
    { atMs, rotation }: { atMs: number; rotation: VideoFrame['rotation'] },
  ): void {
    if (this.#closed) return;
    const { codec, orientationExtensionId } = this.#options;
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
    this.#rtp.reportIfDue(timestamp, performance.now());
  }

  /** Less where much is lost, slowly more where little is. */
  #adapt(fractionLost: number): void {
    const nowMs = performance.now();
    if (nowMs - this.#adaptedMs < adaptIntervalMs) return;
    const before = this.#bitrateBps;
    if (fractionLost > heavyLoss) this.#bitrateBps = Math.max(minBitrateBps, before * (1 - fractionLost / 2));
    else if (fractionLost < lightLoss)
      this.#bitrateBps = Math.min(this.#options.maxBitrateBps, before * 1.25);
    this.#bitrateBps = Math.round(this.#bitrateBps);
    if (this.#bitrateBps !== before) this.#adaptedMs = nowMs;
  }
}
