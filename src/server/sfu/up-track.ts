import { type TrackInfo, type VideoLayer, VideoQuality } from '@livekit/protocol';
import { decodeAudioLevel } from '../../audio/index.js';
import {
  buildNack,
  buildPli,
  ReceptionReport,
  type ReportBlock,
  type RtcpPacket,
  type RtpPacket,
} from '../../rtp/index.js';
import { extensionUris } from '../../transport/index.js';
import { payloadFormats, videoCodec } from '../../video/index.js';
import { limits } from '../limits.js';
import type { Codec } from './codecs.js';
import { bestTarget, targetOf, temporalOf } from './layered-frame.js';
import { type LayeredPacket, LayeredStream } from './layered-stream.js';
import type { OfferedMedia } from './publisher-answer.js';

interface UpTrackOptions {
  info: TrackInfo;
  /** Sends RTCP to the publisher. */
  sendRtcp: (packet: Buffer) => void;
}

/** The SSRC under which the server sends reports and requests. */
export const serverSsrc = 1;
const keyFrameIntervalMs = 500;
/** A layer that sent nothing for so long is not sent now: its publisher was told so, or its path does not carry it. */
const layerSilentMs = 1_500;
const rateWindowMs = 1_000;
/** What is no longer watched may be watched again in a moment, and a key frame takes its time. */
const lessDemandAfterMs = 5_000;
/** A picture that is a little smaller than it is shown is not worth the next layer. */
const sizeTolerance = 0.9;
/** Of a session description: a section without its codecs, and a codec without its parameters. */
const sectionBytes = 700;
const codecBytes = 130;
const qualities = [VideoQuality.LOW, VideoQuality.MEDIUM, VideoQuality.HIGH] as const;

type SenderReport = Extract<RtcpPacket, { type: 'senderReport' }>;

/** Takes what a track's publisher sends on to one subscriber. */
export interface Forwarder {
  /**
   * @param layer of a simulcast, 0 the lowest; 0 for other tracks
   * @param isStart whether a receiver can begin here: with the first packet of a key frame
   * @param layered where one stream has several layers: which of them the packet is of
   */
  forward(
    packet: RtpPacket,
    codec: Codec,
    nowMs: number,
    layer: number,
    isStart: boolean,
    layered: LayeredPacket | undefined,
  ): void;
  /** The layers of the track are others than before. */
  update(nowMs: number): void;
  forwardSenderReport(report: SenderReport): void;
  /** The highest layer that the subscriber wants; undefined for none. */
  readonly wantedLayer: number | undefined;
}

/** What is known of one layer of a video track. */
interface Layer {
  ssrc: number;
  lastPacketMs: number;
  keyFrameAskedMs: number;
  /** Bytes since `sinceMs`, and the rate of the time before. */
  bytes: number;
  sinceMs: number;
  bitrateBps: number;
}

/** One published track: takes its publisher's RTP and hands it to every subscription. */
export class UpTrack {
  readonly info: TrackInfo;
  readonly kind: 'audio' | 'video';
  readonly downTracks = new Set<Forwarder>();
  /** As the publisher sends them; empty until it has offered the track. */
  codecs: readonly Codec[] = [];
  /** Level of one packet in dBov. */
  onAudioLevel: (dbov: number) => void = () => {};
  /** The layers that subscribers want have changed (dynacast). */
  onDemand: (enabled: readonly { quality: VideoQuality; enabled: boolean }[]) => void = () => {};
  /** Of a simulcast, as they were offered. */
  #rids: readonly string[] = [];
  /** By SSRC, where they were signalled so; the lowest first. */
  #layerSsrcs: readonly number[] = [];
  #layers = new Map<number, Layer>();
  #layerBySsrc = new Map<number, number>();
  /** The highest layer that was last announced to be wanted: at first it is all of them. */
  #announced: number | undefined = qualities.length - 1;
  #lessSinceMs: number | undefined;
  /** The layers of a stream that is the only one. */
  #layered: LayeredStream | undefined;
  /** When the first subscriber accepted the track. */
  #firstAcceptedMs: number | undefined;
  #options: UpTrackOptions;
  #extensions = new Map<string, number>();
  /** What was received by SSRC; undefined before the first packet. The one that was silent for longest comes first. */
  #streams = new Map<number, ReceptionReport | undefined>();
  #lastSsrc: number | undefined;

  constructor(options: UpTrackOptions, kind: 'audio' | 'video') {
    this.#options = options;
    this.info = options.info;
    this.kind = kind;
  }

  get sid(): string {
    return this.info.sid;
  }

  /** Takes what the publisher's offer says of the track. */
  negotiated(media: OfferedMedia, codecs: readonly Codec[]): void {
    this.codecs = codecs;
    const [first] = codecs;
    if (first) this.info.mimeType = `${this.kind}/${first.name}`;
    this.#extensions = new Map(media.extensions.map(({ uri, id }) => [uri, id]));
    this.#rids = media.rids;
    // Layers are called by their SSRCs only where there are several, which RIDs do not name.
    const isBySsrc = media.rids.length === 0 && this.info.layers.length > 1 && media.ssrcs.length > 1;
    this.#layerSsrcs = isBySsrc ? media.ssrcs : [];
  }

  /** About as long as what a subscriber's offer says of the track. */
  get offeredBytes(): number {
    return this.codecs.reduce(
      (sum, { parameters }) => sum + codecBytes + parameters.length,
      sectionBytes + this.sid.length,
    );
  }

  /** Whether each layer is a stream of its own. */
  get isSimulcast(): boolean {
    return this.#rids.length > 1 || this.#layerSsrcs.length > 1;
  }

  /** Layers that the publisher may send, those of a simulcast or the spatial ones of one stream; 1 for audio. */
  get layerCount(): number {
    return Math.max(1, this.#rids.length, this.#layerSsrcs.length, this.#layered?.spatialLayers ?? 1);
  }

  /** Whether the publisher sends a layer now. */
  isLayerSent(layer: number, nowMs: number): boolean {
    if (this.#layered) return this.#layered.isSent(layer, nowMs);
    const known = this.#layers.get(layer);
    return known !== undefined && nowMs - known.lastPacketMs < layerSilentMs;
  }

  /** What a layer takes of a path: as measured, or as announced while nothing of it has come. */
  layerBitrateBps(layer: number, temporal = temporalOf(bestTarget)): number {
    const measured = this.#layered
      ? this.#layered.bitrateBps(targetOf(layer, temporal))
      : (this.#layers.get(layer)?.bitrateBps ?? 0);
    return measured > 0 ? measured : (this.#announcedLayer(layer)?.bitrate ?? 0);
  }

  /** The temporal layer, of a stream with several, that has so many pictures a second; 0 stands for all of them. */
  temporalLayerFor(fps: number): number {
    return this.#layered?.temporalFor(fps) ?? temporalOf(bestTarget);
  }

  /** The layer to show at so many pixels: the lowest that has as many, or the highest. */
  layerForSize(width: number, height: number): number {
    for (let layer = 0; layer < this.layerCount - 1; layer++) {
      const size = this.#layered?.sizes[layer] ?? this.#announcedLayer(layer);
      if (size && size.width * size.height >= sizeTolerance * width * height) return layer;
    }
    return this.layerCount - 1;
  }

  /** What the publisher said of a layer, which it calls by its quality. */
  #announcedLayer(layer: number): VideoLayer | undefined {
    return this.info.layers.find(({ quality }) => quality === (layer as VideoQuality));
  }

  layerForQuality(quality: VideoQuality): number {
    return quality === VideoQuality.OFF ? 0 : Math.min(quality, this.layerCount - 1);
  }

  /** After subscriptions or their wishes have changed, and now and then. */
  updateDemand(nowMs: number): void {
    if (this.kind !== 'video') return;
    let wanted: number | undefined;
    for (const { wantedLayer } of this.downTracks) {
      if (wantedLayer !== undefined) wanted = Math.max(wanted ?? 0, wantedLayer);
    }
    // Without layers all qualities are one; whoever wants the highest of one stream wants all of it.
    const isAll = wanted !== undefined && !this.isSimulcast && wanted >= this.layerCount - 1;
    const demand = isAll ? qualities.length - 1 : wanted;
    if ((demand ?? -1) >= (this.#announced ?? -1)) this.#lessSinceMs = undefined;
    if (demand === this.#announced) return;
    if ((demand ?? -1) < (this.#announced ?? -1)) {
      this.#lessSinceMs ??= nowMs;
      if (nowMs - this.#lessSinceMs < lessDemandAfterMs) return;
      this.#lessSinceMs = undefined;
    }
    this.#announced = demand;
    this.announceDemand();
  }

  /** Tells the publisher which layers are wanted; again where it may have missed that. */
  announceDemand(): void {
    if (this.kind !== 'video') return;
    const demand = this.#announced;
    this.onDemand(
      qualities.map((quality) => ({ quality, enabled: demand !== undefined && quality <= demand })),
    );
  }

  /** A subscriber has accepted the track; returns whether it is the first one. */
  acceptedBySubscriber(nowMs: number): boolean {
    if (this.wasAccepted) return false;
    this.#firstAcceptedMs = nowMs;
    return true;
  }

  /** Whether any subscriber has accepted the track. */
  get wasAccepted(): boolean {
    return this.#firstAcceptedMs !== undefined;
  }

  /** Whether the first subscriber accepted the track after `sinceMs`. */
  wasFirstAcceptedAfter(sinceMs: number): boolean {
    return this.#firstAcceptedMs !== undefined && this.#firstAcceptedMs > sinceMs;
  }

  handleRtp(packet: RtpPacket, bytes: number, nowMs: number): void {
    const codec = this.codecs.find(({ payloadType }) => payloadType === packet.payloadType);
    if (!codec) return;
    const report = this.#streamOf(packet.ssrc, codec.clockRate);
    report.received(packet, bytes, nowMs);
    const missing = report.takeMissing();
    if (missing.length > 0) this.#options.sendRtcp(buildNack(serverSsrc, packet.ssrc, missing));
    this.#lastSsrc = packet.ssrc;
    const level = this.extension(packet, extensionUris.audioLevel);
    const decoded = level && decodeAudioLevel(level);
    if (decoded) this.onAudioLevel(decoded.dbov);
    if (this.kind === 'audio') {
      for (const downTrack of this.downTracks) downTrack.forward(packet, codec, nowMs, 0, false, undefined);
      return;
    }
    const layer = this.#layerOf(packet);
    if (layer === undefined) return;
    // Padding says nothing of what the layer needs.
    if (packet.payload.length > 0) this.#measure(layer, packet.ssrc, bytes, nowMs);
    const isStart = isKeyFrameStart(packet, codec);
    const layered = this.isSimulcast ? undefined : this.#readLayers(packet, codec, nowMs);
    for (const downTrack of this.downTracks) downTrack.forward(packet, codec, nowMs, layer, isStart, layered);
  }

  #readLayers(packet: RtpPacket, codec: Codec, nowMs: number): LayeredPacket | undefined {
    const known = this.#layered;
    const stream = known?.ssrc === packet.ssrc ? known : new LayeredStream(packet.ssrc);
    const before = this.layerCount;
    const descriptor = this.extension(packet, extensionUris.dependencyDescriptor);
    const layered = stream.read(packet, codec.name.toLowerCase(), descriptor, nowMs);
    if (!layered) return undefined;
    this.#layered = stream;
    if (this.layerCount !== before) for (const downTrack of this.downTracks) downTrack.update(nowMs);
    return layered;
  }

  handleSenderReport(report: SenderReport, nowMs: number): void {
    this.#streams.get(report.ssrc)?.senderReport(report, nowMs);
    for (const downTrack of this.downTracks) downTrack.forwardSenderReport(report);
  }

  /** A header extension of a packet of this track. */
  extension(packet: RtpPacket, uri: string): Buffer | undefined {
    const id = this.#extensions.get(uri);
    return id === undefined ? undefined : packet.extensions.get(id);
  }

  /** Asks the publisher for a key frame of a layer, or of all, unless it was asked a moment ago. */
  requestKeyFrame(nowMs: number, layer?: number): void {
    for (const [index, known] of this.#layers) {
      if (layer !== undefined && index !== layer && this.isSimulcast) continue;
      if (nowMs - known.keyFrameAskedMs < keyFrameIntervalMs) continue;
      known.keyFrameAskedMs = nowMs;
      this.#options.sendRtcp(buildPli(serverSsrc, known.ssrc));
    }
  }

  takeReports(nowMs: number): ReportBlock[] {
    return [...this.#streams.values()].flatMap((report) => report?.take(nowMs) ?? []);
  }

  /** The SSRCs that belong to the track. */
  streams(): Iterable<number> {
    return this.#streams.keys();
  }

  /** Forgets what was received under other SSRCs. */
  retainStreams(ssrcs: readonly number[]): number[] {
    const kept = new Set(ssrcs);
    const forgotten = [...this.#streams.keys()].filter((ssrc) => !kept.has(ssrc));
    for (const ssrc of forgotten) this.#forget(ssrc);
    return forgotten;
  }

  /** Gives the track another SSRC. Returns those that it loses because it has too many. */
  addStream(ssrc: number): number[] {
    if (this.#streams.has(ssrc)) return [];
    this.#streams.set(ssrc, undefined);
    const forgotten: number[] = [];
    for (const oldest of this.#streams.keys()) {
      if (this.#streams.size <= limits.streamsPerTrack.value) break;
      this.#forget(oldest);
      forgotten.push(oldest);
    }
    return forgotten;
  }

  #forget(ssrc: number): void {
    this.#streams.delete(ssrc);
    this.#layerBySsrc.delete(ssrc);
  }

  /** Which layer a packet is of: as its SSRC was signalled, or as its RID says; undefined where neither is known. */
  #layerOf(packet: RtpPacket): number | undefined {
    if (!this.isSimulcast) return 0;
    const known = this.#layerBySsrc.get(packet.ssrc);
    if (known !== undefined) return known;
    const rid = this.extension(packet, extensionUris.rid)?.toString('latin1');
    const found = rid === undefined ? this.#layerSsrcs.indexOf(packet.ssrc) : this.#rids.indexOf(rid);
    if (found < 0) return undefined;
    this.#layerBySsrc.set(packet.ssrc, found);
    return found;
  }

  #measure(layer: number, ssrc: number, bytes: number, nowMs: number): void {
    let known = this.#layers.get(layer);
    if (known?.ssrc !== ssrc) {
      const keyFrameAskedMs = Number.NEGATIVE_INFINITY;
      known = { ssrc, lastPacketMs: nowMs, keyFrameAskedMs, bytes: 0, sinceMs: nowMs, bitrateBps: 0 };
      this.#layers.set(layer, known);
    }
    known.lastPacketMs = nowMs;
    known.bytes += bytes;
    const elapsedMs = nowMs - known.sinceMs;
    if (elapsedMs < rateWindowMs) return;
    known.bitrateBps = Math.round((known.bytes * 8_000) / elapsedMs);
    known.bytes = 0;
    known.sinceMs = nowMs;
  }

  #streamOf(ssrc: number, clockRate: number): ReceptionReport {
    const known = this.#streams.get(ssrc);
    const report = known ?? new ReceptionReport(ssrc, clockRate);
    if (!known || ssrc !== this.#lastSsrc) {
      // Behind those that were silent for longer.
      this.#streams.delete(ssrc);
      this.#streams.set(ssrc, report);
    }
    return report;
  }
}

function isKeyFrameStart({ payload }: RtpPacket, { name }: Codec): boolean {
  const codec = videoCodec(name);
  const part = codec && payload.length > 0 ? payloadFormats[codec].parse(payload) : undefined;
  return part?.isFrameStart === true && part.isKeyFrame;
}
