import { parseRed } from '../../audio/index.js';
import {
  buildSenderReport,
  PacketHistory,
  type RtcpPacket,
  type RtpPacket,
  serializeRtp,
} from '../../rtp/index.js';
import {
  type Codec,
  isOpus,
  isRed,
  type OfferedCodec,
  offeredExtensions,
  subscriberCodecs,
} from './codecs.js';
import { RtpRewriter } from './rtp-rewriter.js';
import type { Forwarder, UpTrack } from './up-track.js';

interface DownTrackOptions {
  upTrack: UpTrack;
  /** Sid of the participant that publishes the track. */
  publisherSid: string;
  ssrc: number;
  /** Sends RTP and RTCP to the subscriber. */
  send: (packet: Buffer) => void;
}

/** One subscription to a track: the publisher's packets, made into one stream of the subscriber's own. */
export class DownTrack implements Forwarder {
  readonly upTrack: UpTrack;
  readonly publisherSid: string;
  readonly ssrc: number;
  /** What the subscriber is offered, or has offered to receive. */
  codecs: readonly OfferedCodec[];
  /** While paused (the subscriber asked for that) nothing is forwarded. */
  paused = false;
  /** Last loss that the subscriber reported, 0 to 1. */
  fractionLost = 0;
  #options: DownTrackOptions;
  #extensions: readonly { id: number; uri: string }[];
  #rewriter: RtpRewriter;
  #history = new PacketHistory();
  /** Undefined until the subscriber has accepted the track. */
  #accepted: readonly OfferedCodec[] | undefined;
  #packets = 0;
  #bytes = 0;

  constructor(options: DownTrackOptions) {
    this.#options = options;
    this.upTrack = options.upTrack;
    this.publisherSid = options.publisherSid;
    this.ssrc = options.ssrc;
    this.codecs = subscriberCodecs(options.upTrack.kind, options.upTrack.codecs, options.upTrack.info.stereo);
    this.#extensions = offeredExtensions[options.upTrack.kind];
    this.#rewriter = new RtpRewriter(this.codecs[0]?.clockRate ?? 90_000);
  }

  /** Takes codecs and header extensions of the subscriber's choice. */
  offer(codecs: readonly OfferedCodec[], extensions: readonly { id: number; uri: string }[]): void {
    this.codecs = codecs;
    this.#extensions = extensions;
  }

  get isAccepted(): boolean {
    return this.#accepted !== undefined;
  }

  /** Begins forwarding, as what the subscriber's answer left of the offered codecs. */
  accept(answered: readonly Codec[]): void {
    if (this.#accepted === undefined) this.upTrack.requestKeyFrame(performance.now());
    const payloadTypes = answered.map(({ payloadType }) => payloadType);
    this.#accepted = this.codecs.filter(({ payloadType }) => payloadTypes.includes(payloadType));
  }

  forward(packet: RtpPacket, codec: Codec, nowMs: number): void {
    if (!this.#accepted) return;
    const form = this.paused || packet.payload.length === 0 ? undefined : this.#formFor(packet, codec);
    if (!form) {
      this.#rewriter.skip(packet.ssrc, packet.sequenceNumber);
      return;
    }
    const position = this.#rewriter.rewrite(packet.ssrc, packet.sequenceNumber, packet.timestamp, nowMs);
    const rewritten = serializeRtp(
      {
        payloadType: form.payloadType,
        marker: packet.marker,
        ...position,
        ssrc: this.ssrc,
        extensions: this.#extensionsOf(packet),
      },
      form.payload,
    );
    this.#packets++;
    this.#bytes += form.payload.length;
    this.#history.add(position.sequenceNumber, rewritten);
    this.#options.send(rewritten);
  }

  forwardSenderReport(report: Extract<RtcpPacket, { type: 'senderReport' }>): void {
    if (this.#packets === 0) return;
    this.#options.send(
      buildSenderReport({
        ssrc: this.ssrc,
        cname: this.publisherSid,
        ntp: report.ntp,
        rtpTimestamp: this.#rewriter.timestamp(report.rtpTimestamp),
        packetCount: this.#packets,
        octetCount: this.#bytes,
      }),
    );
  }

  /** Takes what the subscriber says of this track. */
  handleRtcp(packet: RtcpPacket, nowMs: number): void {
    if (packet.type === 'nack' && packet.mediaSsrc === this.ssrc) {
      for (const lost of this.#history.take(packet.sequenceNumbers)) this.#options.send(lost);
    } else if (packet.type === 'pli' && packet.mediaSsrc === this.ssrc) {
      this.upTrack.requestKeyFrame(nowMs);
    } else if (packet.type === 'receiverReport') {
      const block = packet.reports.find(({ ssrc }) => ssrc === this.ssrc);
      if (block) this.fractionLost = block.fractionLost;
    }
  }

  /** Payload and type as the subscriber can take them: RED is unwrapped for one that cannot. */
  #formFor(packet: RtpPacket, codec: Codec): { payloadType: number; payload: Buffer } | undefined {
    const same = this.#accepted?.find(
      ({ publisherPayloadType }) => publisherPayloadType === codec.payloadType,
    );
    if (same && !isRed(codec)) return { payloadType: same.payloadType, payload: packet.payload };
    const opus = this.#accepted?.find(isOpus);
    if (!isRed(codec) || !opus) return undefined;
    const blocks = parseRed(packet.payload);
    const primary = blocks?.at(-1);
    if (!blocks || !primary || primary.payload.length === 0) return undefined;
    if (!same) return { payloadType: opus.payloadType, payload: primary.payload };
    return {
      payloadType: same.payloadType,
      payload: withPayloadType(packet.payload, blocks.length, opus.payloadType),
    };
  }

  #extensionsOf(packet: RtpPacket): { id: number; data: Buffer }[] {
    const extensions = [];
    for (const { id, uri } of this.#extensions) {
      const data = this.upTrack.extension(packet, uri);
      if (data && data.length > 0) extensions.push({ id, data });
    }
    return extensions;
  }
}

/** A RED payload whose blocks are of another payload type (RFC 2198, section 3). */
function withPayloadType(red: Buffer, blocks: number, payloadType: number): Buffer {
  if ((red[0]! & 0x7f) === payloadType) return red;
  const copy = Buffer.from(red);
  for (let block = 0; block < blocks; block++) copy[block * 4] = (copy[block * 4]! & 0x80) | payloadType;
  return copy;
}
