import { describeError } from '../errors/index.js';
import { createLogger, type Logger, type LogSubject } from '../logging/index.js';
import {
  buildNack,
  buildPli,
  buildReceiverReport,
  isRtcp,
  parseRtcp,
  parseRtp,
  ReceptionReport,
  type ReceptionStats,
  type RtpPacket,
  type TransportFeedbackRecorder,
} from '../rtp/index.js';
import { codecPackage, payloadFormats, type VideoCodec } from './codec.js';
import { type EncodedFrame, FrameBuffer, type FrameBufferStats } from './frame-buffer.js';
import { type FrameMetadata, splitMetadata } from './frame-metadata.js';
import type { Picture, Rotation, VideoFrame } from './picture.js';
import { PictureTimes, type PictureTimesStats } from './picture-times.js';
import { VideoDecoder } from './video-decoder.js';
import { VideoStream, type VideoStreamOptions } from './video-stream.js';

const log = createLogger('video');

/** What a payload type carries: a codec's packets, or those of another payload type sent again (RFC 4588). */
export type VideoPayload = { codec: VideoCodec } | { repairs: number };

/** A track's packets as its session description has them. */
export interface VideoFormat {
  payloadTypes: ReadonlyMap<number, VideoPayload>;
  /** SSRC of a stream by that of its retransmissions. */
  repairs: ReadonlyMap<number, number>;
  /** Id of the header extension with the rotation of a picture (3GPP TS 26.114, section 7.4.5). */
  orientationExtensionId: number | undefined;
  /** Of the one with the packet's number on its connection, where the sender wants to know which numbers came. */
  transportSequenceId: number | undefined;
}

export interface VideoReceiverOptions {
  format: VideoFormat;
  sendRtcp: (packet: Buffer) => void;
  /** Of the path, for when to ask for a packet again. */
  roundTripMs?: () => number | undefined;
  /** Milliseconds, monotonic. */
  nowMs?: () => number;
  /** For logs. */
  subject?: LogSubject;
}

interface ReadyFrame extends EncodedFrame {
  metadata: FrameMetadata | undefined;
}

/** Takes an encoded frame before it is decoded; undefined drops it. For encryption. */
export type FrameTransform = (
  frame: Buffer,
  info: { codec: VideoCodec; isKeyFrame: boolean },
) => Buffer | undefined | Promise<Buffer | undefined>;

export interface VideoReceiverStats extends ReceptionStats, FrameBufferStats, PictureTimesStats {
  ssrc: number | undefined;
  payloadType: number | undefined;
  codec: VideoCodec | undefined;
  framesDecoded: number;
  width: number;
  height: number;
  /** Packets that came again. */
  repairedPackets: number;
  /** Of payload. */
  repairedBytes: number;
  repairSsrc: number | undefined;
  /** What decodes; empty before it does. */
  decoderName: string;
  /** Packets that could not be used: malformed, or of an unknown payload type. */
  packetsDiscarded: number;
}

const localSsrc = 1;
const cname = 'offhook';
const tickMs = 20;
const reportIntervalMs = 1_000;
const defaultRoundTripMs = 100;
/** Frames at the decoder of which more than their pixels is kept. */
const maxUnderWay = 100;
/** A second of frames: as many as the decoder takes at once. */
const maxEarlyFrames = 30;
const noFrames: FrameBufferStats = {
  framesReceived: 0,
  keyFramesReceived: 0,
  framesDropped: 0,
  framesOfSeveralPackets: 0,
  totalAssemblyMs: 0,
  nackCount: 0,
  pliCount: 0,
};
const rotations: readonly Rotation[] = [0, 90, 180, 270];

/**
 * One received video track. The way of a packet is [parse, unwrap what came again, put frames together in order, undo
 * encryption, decode]; a picture then goes to every open stream (`VideoStream`). While no stream is open, packets are
 * only counted, but for those of the first second: a program opens its stream a little later than a server sends the
 * key frame to begin with, and servers are slow to ask for a second one. Those of an encrypted track are still decrypted, since
 * a program gets the state of a track's encryption without a stream.
 */
export class VideoReceiver {
  /** Undoes encryption. */
  transform: FrameTransform | undefined;
  /** The publisher sends metadata with its frames. */
  hasMetadata = false;
  #options: VideoReceiverOptions;
  #log: Logger;
  #nowMs: () => number;
  #format: VideoFormat;
  #feedback: TransportFeedbackRecorder | undefined;
  #streams = new Set<VideoStream>();
  #reception: ReceptionReport | undefined;
  #payloadType: number | undefined;
  #codec: VideoCodec | undefined;
  #frames: FrameBuffer | undefined;
  #decoder: VideoDecoder | undefined;
  /** From a key frame on, until a stream is opened; undefined once that is too long ago to be of use. */
  #early: ReadyFrame[] | undefined = [];
  #timer: NodeJS.Timeout | undefined;
  #nextReportMs = 0;
  #rotation: Rotation = 0;
  #nextId = 0;
  /** What is known of frames at the decoder, by their id. */
  #underWay = new Map<
    number,
    Omit<VideoFrame, 'picture'> & { firstPacketMs: number; handedOverMs: number }
  >();
  #times = new PictureTimes();
  /** Encrypted frames are handed over in order. */
  #transforming: Promise<void> | undefined;
  #size = { width: 0, height: 0 };
  #framesDecoded = 0;
  #repairedPackets = 0;
  #repairedBytes = 0;
  #packetsDiscarded = 0;
  #firstTimestamp: { units: number; us: number } | undefined;
  #closed = false;

  constructor(options: VideoReceiverOptions) {
    this.#options = options;
    this.#log = log.about(options.subject ?? {});
    this.#format = options.format;
    this.#nowMs = options.nowMs ?? (() => performance.now());
  }

  /** @param feedback of the connection that the packets come over */
  setFormat(format: VideoFormat, feedback?: TransportFeedbackRecorder): void {
    this.#format = format;
    this.#feedback = feedback;
  }

  /** Takes an RTP or RTCP packet as it came; it is the receiver's from now on. Runs once for every packet. */
  handlePacket(packet: Buffer): void {
    if (this.#closed) return;
    const nowMs = this.#nowMs();
    if (isRtcp(packet)) {
      for (const report of parseRtcp(packet)) {
        if (report.type === 'senderReport' && report.ssrc === this.#reception?.ssrc)
          this.#reception.senderReport(report, nowMs);
      }
      return;
    }
    const rtp = parseRtp(packet);
    if (rtp) this.#recordArrival(rtp, nowMs);
    const payload = rtp && this.#format.payloadTypes.get(rtp.payloadType);
    if (!rtp || !payload) {
      this.#packetsDiscarded++;
      return;
    }
    if ('codec' in payload) this.#receive(rtp, payload.codec, packet.length, nowMs);
    else this.#receiveRepair(rtp, payload.repairs, nowMs);
    this.#report(nowMs);
  }

  /** Opens a view of the track; frames come from the next key frame on, for which the sender is asked. */
  openStream(options: VideoStreamOptions): VideoStream {
    const stream = new VideoStream(options, (closed) => this.#forget(closed));
    if (this.#closed) {
      stream.close();
      return stream;
    }
    this.#streams.add(stream);
    this.#startTimer();
    const isLate = this.#codec !== undefined && (this.#early ?? []).length === 0 && !this.#decoder;
    // What was put together for encryption alone goes on from a key frame that the decoder has not seen.
    if (isLate && !this.#early) this.#frames = undefined;
    if (this.#codec) this.#begin(this.#codec);
    // Before the first packet there is nothing to ask: what comes first is a key frame, or else it is asked for.
    if (isLate) this.#requestKeyFrame();
    return stream;
  }

  stats(): VideoReceiverStats {
    return {
      ...(this.#reception?.stats ?? ReceptionReport.none),
      ...(this.#frames?.stats ?? noFrames),
      ssrc: this.#reception?.ssrc,
      payloadType: this.#payloadType,
      codec: this.#codec,
      framesDecoded: this.#framesDecoded,
      ...this.#size,
      ...this.#times.stats(this.#nowMs()),
      repairedPackets: this.#repairedPackets,
      repairedBytes: this.#repairedBytes,
      repairSsrc: this.#repairSsrc,
      decoderName: this.#decoder ? codecPackage : '',
      packetsDiscarded: this.#packetsDiscarded,
    };
  }

  /** Ends every stream. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const stream of [...this.#streams]) stream.close();
    this.#rest();
  }

  get #repairSsrc(): number | undefined {
    for (const [repair, ssrc] of this.#format.repairs) if (ssrc === this.#reception?.ssrc) return repair;
    return undefined;
  }

  get #roundTripMs(): number {
    return this.#options.roundTripMs?.() ?? defaultRoundTripMs;
  }

  #recordArrival({ extensions, ssrc }: RtpPacket, nowMs: number): void {
    const id = this.#format.transportSequenceId;
    if (id === undefined) return;
    const report = this.#feedback?.received(extensions.get(id), ssrc, nowMs);
    if (report) this.#options.sendRtcp(report);
  }

  #receive(rtp: RtpPacket, codec: VideoCodec, bytes: number, nowMs: number): void {
    if (this.#reception?.ssrc !== rtp.ssrc) this.#follow(rtp.ssrc, nowMs);
    this.#reception?.received(rtp, bytes, nowMs);
    this.#payloadType = rtp.payloadType;
    if (codec !== this.#codec) {
      this.#codec = codec;
      this.#rest();
    }
    if (this.#streams.size === 0 && !this.#early && !this.transform) return;
    if (this.#streams.size > 0) this.#begin(codec);
    else this.#frames ??= this.#frameBuffer(codec);
    if (this.transform) this.#startTimer();
    this.#readOrientation(rtp);
    this.#frames?.insert(rtp, nowMs, this.#roundTripMs);
  }

  /** A retransmission: the payload begins with the sequence number that the packet had (RFC 4588, section 4). */
  #receiveRepair(rtp: RtpPacket, payloadType: number, nowMs: number): void {
    const ssrc = this.#format.repairs.get(rtp.ssrc) ?? this.#reception?.ssrc;
    if (ssrc === undefined || ssrc !== this.#reception?.ssrc || rtp.payload.length <= 2) return;
    this.#repairedPackets++;
    this.#repairedBytes += rtp.payload.length - 2;
    const sequenceNumber = rtp.payload.readUInt16BE(0);
    const repaired = { ...rtp, ssrc, payloadType, sequenceNumber, payload: rtp.payload.subarray(2) };
    this.#frames?.insert(repaired, nowMs, this.#roundTripMs);
  }

  #follow(ssrc: number, nowMs: number): void {
    this.#reception = new ReceptionReport(ssrc, 90_000);
    this.#nextReportMs = nowMs + reportIntervalMs;
    this.#rest();
    this.#firstTimestamp = undefined;
  }

  /** Runs once for every packet. */
  #begin(codec: VideoCodec): void {
    if (this.#decoder) return;
    this.#frames ??= this.#frameBuffer(codec);
    this.#decoder = new VideoDecoder({
      codec,
      log: this.#log,
      onPicture: (picture, id) => this.#show(picture, id),
      onKeyFrameNeeded: () => this.#frames?.needKeyFrame(this.#nowMs()),
      onUnavailable: (error) => {
        this.#log.error(`a video track cannot be decoded: ${describeError(error)}`);
        for (const stream of [...this.#streams]) stream.close(error);
      },
    });
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const frame of early) this.#decode(frame);
  }

  #frameBuffer(codec: VideoCodec): FrameBuffer {
    return new FrameBuffer({
      format: payloadFormats[codec],
      onFrame: (frame) => this.#open(frame, codec),
      onMissing: (sequenceNumbers) => {
        if (this.#reception)
          this.#options.sendRtcp(buildNack(localSsrc, this.#reception.ssrc, sequenceNumbers));
      },
      onKeyFrameNeeded: () => this.#requestKeyFrame(),
    });
  }

  #keepEarly(frame: ReadyFrame): void {
    if (frame.isKeyFrame && this.#early) this.#early = [];
    // It cannot be decoded: the key frame before it could not be decrypted.
    if (frame.isKeyFrame || this.#early?.length) this.#early?.push(frame);
    if (!this.#early || this.#early.length <= maxEarlyFrames) return;
    this.#early = undefined;
    if (!this.transform) this.#rest();
  }

  /** Frees the decoder; the next packet for an open stream begins again. */
  #rest(): void {
    this.#decoder?.close();
    this.#decoder = undefined;
    this.#times.restart();
    this.#frames = undefined;
    if (this.#early) this.#early = [];
    this.#underWay.clear();
    if (this.#streams.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #forget(stream: VideoStream): void {
    this.#streams.delete(stream);
    if (this.#streams.size === 0) this.#rest();
  }

  #startTimer(): void {
    this.#timer ??= setInterval(() => this.#tick(), tickMs);
  }

  #tick(): void {
    this.#frames?.tick(this.#nowMs(), this.#roundTripMs);
  }

  #requestKeyFrame(): void {
    if (this.#reception) this.#options.sendRtcp(buildPli(localSsrc, this.#reception.ssrc));
  }

  /** The sender turns what it films: the extension is in the last packet of a frame, and holds for those after it. */
  #readOrientation({ extensions }: RtpPacket): void {
    const id = this.#format.orientationExtensionId;
    const data = id === undefined ? undefined : extensions.get(id);
    if (data && data.length > 0) this.#rotation = rotations[data[0]! & 0x03]!;
  }

  /** Takes the metadata off a frame and undoes its encryption. */
  #open(frame: EncodedFrame, codec: VideoCodec): void {
    const { transform } = this;
    const { data: sent, metadata } = this.hasMetadata
      ? splitMetadata(frame.data, codec)
      : { data: frame.data, metadata: undefined };
    if (!transform) {
      this.#decode({ ...frame, data: sent, metadata });
      return;
    }
    const frames = this.#frames;
    const { isKeyFrame } = frame;
    const work = async () => {
      const data = await transform(sent, { codec, isKeyFrame });
      if (this.#frames !== frames) return;
      if (data) this.#decode({ ...frame, data, metadata });
      else if (isKeyFrame && this.#early) this.#early = [];
    };
    this.#transforming = (this.#transforming ?? Promise.resolve()).then(work).catch((error: unknown) => {
      this.#log.debug(`a frame could not be decrypted: ${describeError(error)}`);
    });
  }

  #decode(frame: ReadyFrame): void {
    if (!this.#decoder) {
      this.#keepEarly(frame);
      return;
    }
    const { data, metadata } = frame;
    const id = this.#nextId++;
    const nowMs = this.#nowMs();
    const { firstPacketMs } = frame;
    this.#times.handedOver(firstPacketMs, nowMs);
    this.#firstTimestamp ??= { units: frame.timestamp, us: Math.round(nowMs * 1_000) };
    const { units, us } = this.#firstTimestamp;
    const timestampUs = us + Math.round((frame.timestamp - units) / 0.09);
    this.#underWay.set(id, {
      timestampUs,
      rotation: this.#rotation,
      metadata,
      firstPacketMs,
      handedOverMs: nowMs,
    });
    if (this.#underWay.size > maxUnderWay) {
      for (const [oldest] of this.#underWay) {
        this.#underWay.delete(oldest);
        break;
      }
    }
    this.#decoder.decode(data, frame.isKeyFrame, id);
  }

  #show(picture: Picture, id: number): void {
    const underWay = this.#underWay.get(id);
    if (!underWay) return;
    this.#underWay.delete(id);
    const { firstPacketMs, handedOverMs, ...known } = underWay;
    this.#times.decoded(firstPacketMs, handedOverMs, this.#nowMs());
    this.#framesDecoded++;
    this.#size = { width: picture.width, height: picture.height };
    for (const stream of this.#streams) stream.push({ picture, ...known });
  }

  #report(nowMs: number): void {
    if (!this.#reception || nowMs < this.#nextReportMs) return;
    this.#nextReportMs = nowMs + reportIntervalMs;
    this.#options.sendRtcp(buildReceiverReport(localSsrc, cname, [this.#reception.take(nowMs)]));
  }
}
