import type { VideoQuality } from '@livekit/protocol';
import { parseRed } from '../../audio/index.js';
import {
  buildSenderReport,
  type CongestionControl,
  type ControlledStream,
  PacketHistory,
  type RtcpPacket,
  type RtpPacket,
  serializeRtp,
} from '../../rtp/index.js';
import { extensionUris } from '../../transport/index.js';
import { trailerLength } from '../../video/index.js';
import {
  type Codec,
  isOpus,
  isRed,
  type OfferedCodec,
  offeredExtensions,
  subscriberCodecs,
} from './codecs.js';
import { LayerSelector } from './layer-selector.js';
import { spatialOf, targetOf } from './layered-frame.js';
import type { LayeredPacket } from './layered-stream.js';
import { RtpRewriter } from './rtp-rewriter.js';
import type { Forwarder, UpTrack } from './up-track.js';
import { Vp8Rewriter } from './vp8-rewriter.js';

interface DownTrackOptions {
  upTrack: UpTrack;
  /** Sid of the participant that publishes the track. */
  publisherSid: string;
  ssrc: number;
  /** Sends RTP and RTCP to the subscriber. */
  send: (packet: Buffer) => void;
  /** The subscriber knows of trailers of frames (CAP_PACKET_TRAILER); others get frames without. */
  takesTrailers: boolean;
  /** Of the video on the subscriber's connection. */
  congestion?: CongestionControl;
}

/** What a subscriber asks for of a track. */
export interface TrackWish {
  isDisabled: boolean;
  quality: VideoQuality;
  /** In place of the quality where it is known. */
  size: { width: number; height: number } | undefined;
  /** Pictures a second, of a stream with temporal layers; 0 for all of them. */
  fps: number;
}

/** With so much before it video would come too late: it pauses, until so little waits. */
const pauseQueueMs = 600;
const resumeQueueMs = 150;
const heavyLoss = 0.1;
const lightLoss = 0.02;
/** After so long with little loss a subscriber that reports nothing else gets a higher layer. */
const recoveredMs = 10_000;
/** A layer that is higher than the one now needs more room than one that is kept. */
const upMargin = 1.1;
/** As long as padding can be: its last byte is its length (RFC 3550, section 5.1). */
const padding = new Uint8Array(255).fill(255, 254);

/** One subscription to a track: the publisher's packets, made into one stream of the subscriber's own. */
export class DownTrack implements Forwarder, ControlledStream {
  readonly upTrack: UpTrack;
  readonly publisherSid: string;
  readonly ssrc: number;
  /** What the subscriber is offered, or has offered to receive. */
  codecs: readonly OfferedCodec[];
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
  /** Undefined before the subscriber has asked for anything: it gets the best. */
  #wish: TrackWish | undefined;
  /** The layer that is forwarded, and the one that is to be from its next key frame on. */
  #layer: number | undefined;
  #target = 0;
  /** What of the subscriber's path is for this track; unknown where it reports nothing of its packets. */
  #bitrateBps = Number.POSITIVE_INFINITY;
  #lossCap = Number.POSITIVE_INFINITY;
  #lossSinceMs = 0;
  #isPathFull = false;
  #vp8 = new Vp8Rewriter();
  /** Of one stream with several layers, from its first packet on. */
  #selector: LayerSelector | undefined;
  /** Of the header extension with a packet's number on the subscriber's connection, where that was agreed on. */
  #transportSequenceId: number | undefined;
  #isBetweenFrames = false;

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

  /** What the subscriber may be sent of header extensions. */
  get extensions(): readonly { id: number; uri: string }[] {
    return this.#extensions;
  }

  get isAccepted(): boolean {
    return this.#accepted !== undefined;
  }

  /** Begins forwarding, as what the subscriber's answer left of the offered codecs and extensions. */
  accept(answered: readonly Codec[], extensions: readonly { id: number; uri: string }[] = []): void {
    const { congestion, upTrack } = this.#options;
    const isNumbered =
      upTrack.kind === 'video' && answered.some(({ feedback }) => feedback.includes('transport-cc'));
    const numbers = extensions.find(({ uri }) => uri === extensionUris.transportSequence);
    this.#transportSequenceId = congestion && isNumbered ? numbers?.id : undefined;
    const isNew = this.#accepted === undefined;
    const payloadTypes = answered.map(({ payloadType }) => payloadType);
    this.#accepted = this.codecs.filter(({ payloadType }) => payloadTypes.includes(payloadType));
    if (!isNew) return;
    const nowMs = performance.now();
    if (this.#transportSequenceId !== undefined) congestion?.add(this);
    this.#aim(nowMs);
    upTrack.requestKeyFrame(nowMs);
  }

  /** Takes what the subscriber asks for of a video track; `disabled` holds for audio too. */
  setWish(wish: TrackWish, nowMs: number): void {
    const wasDisabled = this.#wish?.isDisabled ?? false;
    this.#wish = wish;
    // What is decoded next must need nothing of what was not sent.
    if (wasDisabled !== wish.isDisabled && this.upTrack.kind === 'video') {
      this.#layer = undefined;
      this.#selector?.reset();
    }
    this.#aim(nowMs);
    if (wasDisabled && !wish.isDisabled) this.upTrack.requestKeyFrame(nowMs);
    this.upTrack.updateDemand(nowMs);
    this.#options.congestion?.shareOut();
  }

  get wantedLayer(): number | undefined {
    if (this.#wish?.isDisabled) return undefined;
    const { upTrack } = this;
    const { size, quality } = this.#wish ?? {};
    if (size) return upTrack.layerForSize(size.width, size.height);
    return quality === undefined ? upTrack.layerCount - 1 : upTrack.layerForQuality(quality);
  }

  get wantedBps(): number {
    const wanted = this.wantedLayer;
    if (wanted === undefined || !this.isAccepted) return 0;
    return upMargin * this.upTrack.layerBitrateBps(wanted, this.#wantedTemporal);
  }

  onBitrate(bitrateBps: number): void {
    this.#bitrateBps = bitrateBps;
    this.#aim(performance.now());
  }

  sendPadding(): boolean {
    if (!this.#isBetweenFrames || this.#layer === undefined) return false;
    return this.#sendEmpty(this.#rewriter.insert()) !== undefined;
  }

  /** Sends a packet that is padding alone. */
  #sendEmpty(position: { sequenceNumber: number; timestamp: number }): Buffer | undefined {
    const [codec] = this.#accepted ?? [];
    if (!codec) return undefined;
    const header = { payloadType: codec.payloadType, marker: false, ssrc: this.ssrc };
    const packet = serializeRtp({ ...header, ...position, extensions: this.#numberExtension() }, padding);
    packet[0]! |= 0x20;
    this.#sendPacket(packet);
    return packet;
  }

  #sendPacket(packet: Buffer): void {
    if (this.#transportSequenceId === undefined) this.#options.send(packet);
    else this.#options.congestion?.send(packet);
  }

  /** Does not send a packet on. One that comes late has left a gap, which a receiver would ask for in vain. */
  #leaveOut({ ssrc, sequenceNumber, timestamp }: RtpPacket): void {
    const gap = this.#rewriter.skip(ssrc, sequenceNumber, timestamp);
    const filler = gap && this.upTrack.kind === 'video' ? this.#sendEmpty(gap) : undefined;
    if (gap && filler) this.#history.add(gap.sequenceNumber, filler);
  }

  /** Once a second: aims at what the publisher sends now, and asks again for the key frame that is awaited. */
  update(nowMs: number): void {
    if (this.upTrack.kind !== 'video' || !this.isAccepted) return;
    this.#aim(nowMs);
    let isReached = !this.upTrack.isSimulcast || this.#layer === this.#target;
    if (this.#selector) isReached = !this.#selector.needsKeyFrame;
    if (!isReached && this.wantedLayer !== undefined) this.upTrack.requestKeyFrame(nowMs, this.#target);
  }

  close(): void {
    this.#options.congestion?.remove(this);
  }

  forward(
    packet: RtpPacket,
    codec: Codec,
    nowMs: number,
    layer = 0,
    isStart = false,
    layered?: LayeredPacket,
  ): void {
    if (!this.#accepted) return;
    const { isSimulcast } = this.upTrack;
    if (isSimulcast && !this.#follows(layer, isStart)) return;
    const isWanted = !this.#wish?.isDisabled && packet.payload.length > 0 && !this.#isOverdue(nowMs, isStart);
    const form = isWanted ? this.#formFor(packet, codec) : undefined;
    const selected = form && layered ? this.#select(layered, packet, nowMs) : undefined;
    if (!form || (layered && !selected)) {
      this.#leaveOut(packet);
      return;
    }
    const marker = packet.marker || selected?.endsPicture === true;
    const payload = marker && this.#isWithTrailer(codec) ? withoutTrailer(form.payload) : form.payload;
    const position = this.#rewriter.rewrite(packet.ssrc, packet.sequenceNumber, packet.timestamp, nowMs);
    if (!position) return;
    const rewritten = serializeRtp(
      {
        payloadType: form.payloadType,
        marker,
        ...position,
        ssrc: this.ssrc,
        extensions: this.#extensionsOf(packet),
      },
      isSimulcast && isVp8(codec) ? this.#vp8.rewrite(packet.ssrc, payload) : payload,
    );
    this.#packets++;
    this.#bytes += payload.length;
    this.#isBetweenFrames = marker;
    this.#history.add(position.sequenceNumber, rewritten);
    this.#sendPacket(rewritten);
  }

  /** Whether the last packet of a frame may end with a trailer that the subscriber does not know of. Decoders of AV1 pass over it. */
  #isWithTrailer({ name }: Codec): boolean {
    const { packetTrailerFeatures } = this.upTrack.info;
    if (this.#options.takesTrailers || packetTrailerFeatures.length === 0) return false;
    return name.toLowerCase() !== 'av1';
  }

  /** Whether a packet of this layer is sent on. A layer begins with a key frame. */
  #follows(layer: number, isStart: boolean): boolean {
    if (layer === this.#layer) return true;
    const isBetter = this.#layer === undefined ? layer <= this.#target : layer === this.#target;
    if (!isStart || !isBetter) return false;
    this.#layer = layer;
    return true;
  }

  /** Whether a packet of a stream with several layers is sent on. */
  #select(
    { frame, isEnd }: LayeredPacket,
    packet: RtpPacket,
    nowMs: number,
  ): { endsPicture: boolean } | undefined {
    if (!this.#selector) {
      this.#selector = new LayerSelector();
      this.#aim(nowMs);
    }
    const selected = this.#selector.select(frame, isEnd, packet);
    const { current } = this.#selector;
    this.#layer = current === undefined ? undefined : spatialOf(current);
    return selected;
  }

  /** Aims at the highest layer that is wanted, that the publisher sends, and that the path carries. */
  #aim(nowMs: number): void {
    const { upTrack } = this;
    const wanted = this.wantedLayer;
    if (wanted === undefined || upTrack.kind !== 'video') return;
    const most = Math.min(wanted, this.#lossCap);
    if (this.#selector) {
      this.#aimWithin(this.#selector, most, nowMs);
      return;
    }
    let target: number | undefined;
    let lowestSent: number | undefined;
    for (let layer = 0; layer < upTrack.layerCount; layer++) {
      if (!upTrack.isLayerSent(layer, nowMs)) continue;
      lowestSent ??= layer;
      const margin = layer > (this.#layer ?? -1) ? upMargin : 1;
      const fits = layer === lowestSent || upTrack.layerBitrateBps(layer) * margin <= this.#bitrateBps;
      if (layer <= most && fits) target = layer;
    }
    // Better another layer than none, and before anything has come the one that is wanted.
    const next = target ?? lowestSent ?? most;
    if (next === this.#target) return;
    this.#target = next;
    if (this.#layer !== next) upTrack.requestKeyFrame(nowMs, next);
  }

  /** As above, in one stream: fewer pictures a second before smaller ones, as long as it is not the lowest rate of several. */
  #aimWithin(selector: LayerSelector, most: number, nowMs: number): void {
    const { upTrack } = this;
    let aim = targetOf(most, this.#wantedTemporal);
    let isFitting = false;
    for (let layer = most; layer >= 0 && !isFitting; layer--) {
      if (!upTrack.isLayerSent(layer, nowMs)) continue;
      const lowest = layer === 0 ? 0 : Math.min(1, this.#wantedTemporal);
      for (let temporal = this.#wantedTemporal; temporal >= lowest && !isFitting; temporal--) {
        aim = targetOf(layer, temporal);
        const margin = aim > (selector.current ?? -1) ? upMargin : 1;
        isFitting = upTrack.layerBitrateBps(layer, temporal) * margin <= this.#bitrateBps;
      }
    }
    if (aim === selector.target) return;
    selector.target = aim;
    this.#target = spatialOf(aim);
    if (selector.needsKeyFrame) upTrack.requestKeyFrame(nowMs);
  }

  get #wantedTemporal(): number {
    return this.upTrack.temporalLayerFor(this.#wish?.fps ?? 0);
  }

  /** The path does not even carry what is sent: video stops until it does, so that the queue does not grow. */
  #isOverdue(nowMs: number, isStart: boolean): boolean {
    if (this.#transportSequenceId === undefined) return false;
    const queueMs = this.#options.congestion?.queueMs ?? 0;
    if (this.#isPathFull && queueMs < resumeQueueMs) {
      if (isStart) this.#isPathFull = false;
      else this.upTrack.requestKeyFrame(nowMs, this.#layer);
    } else if (queueMs > pauseQueueMs) this.#isPathFull = true;
    return this.#isPathFull;
  }

  forwardSenderReport(report: Extract<RtcpPacket, { type: 'senderReport' }>): void {
    if (this.#packets === 0 || report.ssrc !== this.#rewriter.source) return;
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
      this.upTrack.requestKeyFrame(nowMs, this.#layer);
    } else if (packet.type === 'receiverReport') {
      const block = packet.reports.find(({ ssrc }) => ssrc === this.ssrc);
      if (block) this.#handleLoss(block.fractionLost, nowMs);
    }
  }

  #handleLoss(fractionLost: number, nowMs: number): void {
    this.fractionLost = fractionLost;
    if (this.#transportSequenceId !== undefined || this.upTrack.layerCount === 1) return;
    if (fractionLost > lightLoss) this.#lossSinceMs = nowMs;
    if (fractionLost > heavyLoss) this.#lossCap = Math.max(0, (this.#layer ?? 0) - 1);
    else if (nowMs - this.#lossSinceMs > recoveredMs) {
      this.#lossCap++;
      this.#lossSinceMs = nowMs;
    }
    this.#aim(nowMs);
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

  #numberExtension(): { id: number; data: Buffer }[] {
    return this.#transportSequenceId === undefined
      ? []
      : [{ id: this.#transportSequenceId, data: Buffer.alloc(2) }];
  }

  #extensionsOf(packet: RtpPacket): { id: number; data: Buffer }[] {
    const extensions = this.#numberExtension();
    for (const { id, uri } of this.#extensions) {
      if (uri === extensionUris.transportSequence) continue;
      // It counts the frames of one stream, which end where another layer is sent on.
      if (uri === extensionUris.dependencyDescriptor && this.upTrack.isSimulcast) continue;
      const data = this.upTrack.extension(packet, uri);
      if (data && data.length > 0) extensions.push({ id, data });
    }
    return extensions;
  }
}

const isVp8 = ({ name }: Codec) => name.toLowerCase() === 'vp8';

/** A RED payload whose blocks are of another payload type (RFC 2198, section 3). */
function withPayloadType(red: Buffer, blocks: number, payloadType: number): Buffer {
  if ((red[0]! & 0x7f) === payloadType) return red;
  const copy = Buffer.from(red);
  for (let block = 0; block < blocks; block++) copy[block * 4] = (copy[block * 4]! & 0x80) | payloadType;
  return copy;
}

/**
 * The last payload of a video frame without what its publisher has put behind the frame (packet trailer: a timestamp,
 * the frame's number, data of its own), for subscribers that would take it for a part of the picture.
 */
export function withoutTrailer(payload: Buffer): Buffer {
  return payload.subarray(0, payload.length - trailerLength(payload));
}
