import type { TrackInfo } from '@livekit/protocol';
import { decodeAudioLevel } from '../../audio/index.js';
import {
  buildNack,
  buildPli,
  ReceptionReport,
  type ReportBlock,
  type RtcpPacket,
  type RtpPacket,
} from '../../rtp/index.js';
import { limits } from '../limits.js';
import { type Codec, extensionUris } from './codecs.js';
import type { OfferedMedia } from './publisher-answer.js';

interface UpTrackOptions {
  info: TrackInfo;
  /** Sends RTCP to the publisher. */
  sendRtcp: (packet: Buffer) => void;
}

/** The SSRC under which the server sends reports and requests. */
export const serverSsrc = 1;
const keyFrameIntervalMs = 500;

type SenderReport = Extract<RtcpPacket, { type: 'senderReport' }>;

/** Takes what a track's publisher sends on to one subscriber. */
export interface Forwarder {
  forward(packet: RtpPacket, codec: Codec, nowMs: number): void;
  forwardSenderReport(report: SenderReport): void;
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
  #options: UpTrackOptions;
  #extensions = new Map<string, number>();
  /** What was received by SSRC; undefined before the first packet. The one that was silent for longest comes first. */
  #streams = new Map<number, ReceptionReport | undefined>();
  #lastSsrc: number | undefined;
  #keyFrameAskedMs = Number.NEGATIVE_INFINITY;

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
    for (const downTrack of this.downTracks) downTrack.forward(packet, codec, nowMs);
  }

  handleSenderReport(report: SenderReport, nowMs: number): void {
    this.#streams.get(report.ssrc)?.senderReport(report, nowMs);
    if (report.ssrc !== this.#lastSsrc) return;
    for (const downTrack of this.downTracks) downTrack.forwardSenderReport(report);
  }

  /** A header extension of a packet of this track. */
  extension(packet: RtpPacket, uri: string): Buffer | undefined {
    const id = this.#extensions.get(uri);
    return id === undefined ? undefined : packet.extensions.get(id);
  }

  /** Asks the publisher for a key frame, unless it was asked a moment ago. */
  requestKeyFrame(nowMs: number): void {
    if (this.kind !== 'video' || this.#lastSsrc === undefined) return;
    if (nowMs - this.#keyFrameAskedMs < keyFrameIntervalMs) return;
    this.#keyFrameAskedMs = nowMs;
    this.#options.sendRtcp(buildPli(serverSsrc, this.#lastSsrc));
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
    for (const ssrc of forgotten) this.#streams.delete(ssrc);
    return forgotten;
  }

  /** Gives the track another SSRC. Returns those that it loses because it has too many. */
  addStream(ssrc: number): number[] {
    if (this.#streams.has(ssrc)) return [];
    this.#streams.set(ssrc, undefined);
    const forgotten: number[] = [];
    for (const oldest of this.#streams.keys()) {
      if (this.#streams.size <= limits.streamsPerTrack.value) break;
      this.#streams.delete(oldest);
      forgotten.push(oldest);
    }
    return forgotten;
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
