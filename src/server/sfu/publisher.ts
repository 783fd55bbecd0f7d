import { type AddTrackRequest, type DataPacket_Kind, type TrackInfo, TrackType } from '@livekit/protocol';
import {
  buildReceiverReport,
  isRtcp,
  parseRtcp,
  parseRtp,
  type RtpPacket,
  TransportFeedbackRecorder,
} from '../../rtp/index.js';
import { type DataChannel, extensionUris, type IceCandidate, PeerConnection } from '../../transport/index.js';
import type { Boundary } from '../boundary.js';
import { limits } from '../limits.js';
import { startTimeout, type Timeout } from '../timers.js';
import type { WorkMeter } from '../work-meter.js';
import { parseClientDescription } from './client-description.js';
import { type Codec, wishedVideoCodec } from './codecs.js';
import { dataKindOf, dataTrackLabel } from './data-channels.js';
import { DataInlet } from './data-inlet.js';
import { DataOutbox } from './data-outbox.js';
import type { MediaEndpoint } from './ice-addresses.js';
import { answerSections, type OfferedMedia, readOffer } from './publisher-answer.js';
import type { SharedSubscriber } from './shared-subscriber.js';
import { serverSsrc, UpTrack } from './up-track.js';

export interface PublisherOptions {
  name: string;
  /** What the transport brings is handled inside of this. */
  boundary: Boundary;
  endpoint: MediaEndpoint;
  iceLite: boolean;
  candidates: readonly string[];
  /** Tracks that one offer has brought, or that have ended together. */
  onPublished: (tracks: readonly UpTrack[]) => void;
  onUnpublished: (tracks: readonly UpTrack[]) => void;
  /** Sends data on, and returns the outboxes of those it went to. */
  onData: (message: Uint8Array, kind: DataPacket_Kind) => readonly DataOutbox[];
  /** Sends a packet of a data track on. */
  onTrackPacket: (packet: Uint8Array) => void;
  /** The client sends more data than others take, although it was told to wait. */
  onDataOverflow: () => void;
  onConnected: () => void;
  onFailed: () => void;
  /** No offer has brought a track that was announced a while ago: the client may have to be asked for one. */
  onTracksOverdue: () => void;
  /** What the client's packets cost. */
  work: WorkMeter;
}

interface PendingTrack {
  request: AddTrackRequest;
  info: TrackInfo;
  /** When the client was told of the track. */
  answeredMs: number;
}

/** What a section of the client's carries. */
interface PublishedSection {
  track: UpTrack;
  /** The request that announced the track, and when it was answered. */
  request: AddTrackRequest;
  answeredMs: number;
  trackId: string;
}

/** How long an offer may take to bring an announced track: twice as long each time, up to the last. */
const firstOfferMs = 500;
/**
 * What was sent for so long before a resume has perhaps not arrived: a connection may have been dead for that long before
 * either side noticed.
 */
export const lostBeforeResumeMs = 30_000;
/** A client whose answer was lost asks again this soon after it has resumed. */
const asksAgainWithinMs = 5_000;
const lastOfferMs = 8_000;
/** What one video track may send; there is no estimate of the way. */
const videoBitrateBps = 3_000_000;
/** As many as the count of a report's header can say (RFC 3550, section 6.4.2). */
const maxReportBlocks = 31;
/** As many as REMB can list in its eight bits. */
const maxRembStreams = 255;

/** The peer connection on which a participant publishes: its tracks and its data. */
export class Publisher {
  /** Published tracks by sid. */
  readonly tracks = new Map<string, UpTrack>();
  /** Data for a client that has no other connection to receive on. */
  readonly outbox = new DataOutbox();
  /** Worst loss of any track since the report before, 0 to 1. */
  fractionLost = 0;
  /** Where the client receives on this connection too. */
  shared: SharedSubscriber | undefined;
  #options: PublisherOptions;
  #connection: PeerConnection;
  #inlet: DataInlet;
  /** Announced tracks by the client's id, which no offer has brought yet. */
  #pending = new Map<string, PendingTrack>();
  #byMid = new Map<string, PublishedSection>();
  #bySsrc = new Map<number, UpTrack>();
  #midExtensionId: number | undefined;
  /** Of the number that each packet of video has, where the client numbers them. */
  #transportSequenceId: number | undefined;
  #feedback = new TransportFeedbackRecorder(serverSsrc);
  #overdue: Timeout | undefined;

  constructor(options: PublisherOptions) {
    this.#options = options;
    const { name, boundary, endpoint, iceLite, onConnected, onFailed, work } = options;
    this.#inlet = new DataInlet({
      boundary,
      relay: options.onData,
      relayTrackPacket: options.onTrackPacket,
      onOverflow: options.onDataOverflow,
      work,
    });
    this.#connection = new PeerConnection({
      name,
      iceLite,
      shared: { port: endpoint.udp, candidates: options.candidates, meter: work },
      certificate: endpoint.certificate,
    });
    this.#connection.onPacket = boundary.wrap('media', (packet) => this.#receive(packet));
    this.#connection.onDataChannel = boundary.wrap('data channel', (channel) => this.#addChannel(channel));
    this.#connection.onStateChange = boundary.wrap('connecting', (state) => {
      if (state === 'connected') onConnected();
      else if (state === 'failed' || state === 'closed') onFailed();
    });
  }

  /** Whether another track may be announced. */
  get hasRoom(): boolean {
    return this.tracks.size + this.#pending.size < limits.tracksPerParticipant.value;
  }

  /** Announces a track, which is published when an offer brings it. */
  addTrack(request: AddTrackRequest, info: TrackInfo): void {
    this.#pending.set(request.cid, { request, info, answeredMs: performance.now() });
    this.#awaitOffer(firstOfferMs);
  }

  /** The track of this sid, published or still awaited. */
  findInfo(sid: string): TrackInfo | undefined {
    const published = this.tracks.get(sid);
    if (published) return published.info;
    for (const { info } of this.#pending.values()) if (info.sid === sid) return info;
    return undefined;
  }

  /**
   * The track that a request to add one means, where that was announced before: one whose offer has not come yet, or one
   * whose answer was lost with a signalling connection. A client that publishes the same media once more means another.
   *
   * @param resumedMs when the client last resumed, on the clock of `performance.now`
   */
  findByCid(cid: string, resumedMs: number | undefined): TrackInfo | undefined {
    const pending = this.#pending.get(cid);
    if (pending) return pending.info;
    const nowMs = performance.now();
    if (resumedMs === undefined || nowMs - resumedMs > asksAgainWithinMs) return undefined;
    const isRepeated = ({ request, answeredMs }: PublishedSection) =>
      request.cid === cid && answeredMs < resumedMs && resumedMs - answeredMs < lostBeforeResumeMs;
    const published = [...this.#byMid.values()].find(isRepeated);
    if (published) published.answeredMs = nowMs;
    return published?.track.info;
  }

  /**
   * Answers an offer.
   *
   * @throws OffhookError when the offer cannot be parsed, or the transport refuses it; nothing changes then.
   */
  answer(sdp: string): string {
    const { sections: offer } = this.#connection.acceptOffer(parseClientDescription(sdp));
    const media = readOffer(offer);
    const sections = answerSections(offer, media, (section) => {
      const request = this.#requestOf(section);
      if (!request) return undefined;
      const { disableRed, disableDtx, stereo } = request;
      return { red: !disableRed, stereo, dtx: !disableDtx, videoCodec: wishedVideoCodec(request) };
    });
    const codecs = new Map(sections.map((section) => [section.mid, section.codecs]));
    this.#apply(media, codecs);
    const placements = this.shared?.place(media);
    const answered = sections.map((section) => ({ ...section, ...placements?.get(section.mid) }));
    return this.#connection.answer(answered);
  }

  /** Sends RTP or RTCP to the client. */
  send(packet: Buffer): void {
    this.#connection.sendPacket(packet);
  }

  addIceCandidate(candidate: IceCandidate): void {
    this.#connection.addIceCandidate(candidate);
  }

  /** Ends tracks that the client may no longer publish, and forgets those that it may no longer bring. */
  retain(isAllowed: (info: TrackInfo) => boolean): void {
    for (const [cid, { info }] of this.#pending) if (!isAllowed(info)) this.#pending.delete(cid);
    const ended: UpTrack[] = [];
    for (const [mid, { track }] of this.#byMid) {
      if (isAllowed(track.info)) continue;
      this.#byMid.delete(mid);
      if (this.#remove(track)) ended.push(track);
    }
    if (ended.length > 0) this.#options.onUnpublished(ended);
  }

  /** Sends the receiver reports that are due. */
  report(nowMs: number): void {
    const blocks = [...this.tracks.values()]
      .flatMap((track) => track.takeReports(nowMs))
      .slice(0, maxReportBlocks);
    this.fractionLost = Math.max(0, ...blocks.map(({ fractionLost }) => fractionLost));
    if (blocks.length > 0) this.#connection.sendPacket(buildReceiverReport(serverSsrc, 'offhook', blocks));
    const video = [...this.#bySsrc].flatMap(([ssrc, { kind }]) => (kind === 'video' ? [ssrc] : []));
    video.splice(maxRembStreams);
    if (video.length > 0 && this.#transportSequenceId === undefined)
      this.#connection.sendPacket(buildRemb(serverSsrc, videoBitrateBps * video.length, video));
  }

  close(): void {
    this.#overdue?.cancel();
    this.#inlet.close();
    this.outbox.close();
    this.#connection.close();
  }

  #awaitOffer(delayMs: number): void {
    this.#overdue ??= startTimeout(this.#options.name, delayMs, () => {
      this.#overdue = undefined;
      if (this.#pending.size === 0) return;
      this.#options.onTracksOverdue();
      if (delayMs < lastOfferMs) this.#awaitOffer(2 * delayMs);
    });
  }

  #addChannel(channel: DataChannel): void {
    if (channel.label === dataTrackLabel) {
      this.outbox.add(channel);
      channel.onMessage = this.#options.boundary.wrap('data track', (packet: Uint8Array) =>
        this.#inlet.receiveTrackPacket(packet),
      );
      return;
    }
    const kind = dataKindOf(channel.label);
    if (kind === undefined) return;
    this.outbox.add(channel);
    channel.onMessage = this.#options.boundary.wrap('data', (message: Uint8Array) =>
      this.#inlet.receive(message, kind, channel),
    );
  }

  /** The request that announced what a section carries, or is about to. */
  #requestOf(section: OfferedMedia): AddTrackRequest | undefined {
    if (!section.sending) return undefined;
    const bound = this.#byMid.get(section.mid);
    return bound?.trackId === section.trackId ? bound.request : this.#findPending(section)?.request;
  }

  /** Binds the sections of an offer to tracks, and reports what came and went once for the whole offer. */
  #apply(media: readonly OfferedMedia[], codecs: ReadonlyMap<string, readonly Codec[]>): void {
    const ended: UpTrack[] = [];
    const published: UpTrack[] = [];
    for (const section of media) {
      const bound = this.#byMid.get(section.mid);
      if (bound && (!section.sending || bound.trackId !== section.trackId)) {
        this.#byMid.delete(section.mid);
        if (this.#remove(bound.track)) ended.push(bound.track);
      }
      if (!section.sending) continue;
      const midExtension = section.extensions.find(({ uri }) => uri === extensionUris.mid);
      if (midExtension) this.#midExtensionId = midExtension.id;
      const numbers = section.extensions.find(({ uri }) => uri === extensionUris.transportSequence);
      if (numbers) this.#transportSequenceId = numbers.id;
      const track = this.#byMid.get(section.mid)?.track ?? this.#publish(section);
      if (!track) continue;
      track.negotiated(section, codecs.get(section.mid) ?? []);
      // Streams that the client no longer names are over; without names (simulcast by RID) they are found by MID.
      if (section.ssrcs.length > 0) this.#unbind(track, track.retainStreams(section.ssrcs));
      this.#bindStreams(track, section.ssrcs);
      if (this.tracks.has(track.sid)) continue;
      this.tracks.set(track.sid, track);
      published.push(track);
    }
    if (ended.length > 0) this.#options.onUnpublished(ended);
    if (published.length > 0) this.#options.onPublished(published);
  }

  #publish(section: OfferedMedia): UpTrack | undefined {
    const pending = this.#findPending(section);
    if (!pending) return undefined;
    this.#pending.delete(pending.request.cid);
    const { info, request, answeredMs } = pending;
    info.mid = section.mid;
    const sendRtcp = (packet: Buffer) => void this.#connection.sendPacket(packet);
    const track = new UpTrack({ info, sendRtcp }, section.kind);
    this.#byMid.set(section.mid, { track, request, answeredMs, trackId: section.trackId });
    return track;
  }

  /**
   * The announced track of a section: by its id, or the only one of its kind. What was announced as audio is not
   * published as video, nor the other way round: subscribers would be told one kind and sent the other.
   */
  #findPending({ kind, streamId, trackId }: OfferedMedia): PendingTrack | undefined {
    const isOfKind = ({ info }: PendingTrack) => (info.type === TrackType.AUDIO ? 'audio' : 'video') === kind;
    const named = this.#pending.get(trackId) ?? this.#pending.get(streamId);
    if (named) return isOfKind(named) ? named : undefined;
    let only: PendingTrack | undefined;
    for (const pending of this.#pending.values()) {
      if (!isOfKind(pending)) continue;
      if (only) return undefined;
      only = pending;
    }
    return only;
  }

  /** Returns whether others know of the track, and have to be told. */
  #remove(track: UpTrack): boolean {
    this.#unbind(track, track.streams());
    return this.tracks.delete(track.sid);
  }

  #bindStreams(track: UpTrack, ssrcs: readonly number[]): void {
    for (const ssrc of ssrcs) {
      this.#unbind(track, track.addStream(ssrc));
      this.#bySsrc.set(ssrc, track);
    }
  }

  #unbind(track: UpTrack, ssrcs: Iterable<number>): void {
    for (const ssrc of ssrcs) if (this.#bySsrc.get(ssrc) === track) this.#bySsrc.delete(ssrc);
  }

  #receive(bytes: Buffer): void {
    const nowMs = performance.now();
    if (isRtcp(bytes)) {
      for (const report of parseRtcp(bytes)) {
        this.shared?.handleRtcp(report, nowMs);
        if (report.type === 'senderReport') this.#bySsrc.get(report.ssrc)?.handleSenderReport(report, nowMs);
      }
      return;
    }
    const packet = parseRtp(bytes);
    if (!packet) return;
    if (this.#transportSequenceId !== undefined) {
      const number = packet.extensions.get(this.#transportSequenceId);
      const report = this.#feedback.received(number, packet.ssrc, nowMs);
      if (report) this.#connection.sendPacket(report);
    }
    this.#trackOf(packet)?.handleRtp(packet, bytes.length, nowMs);
  }

  /** By SSRC, or by MID for streams whose SSRC was not signalled (RFC 9143). */
  #trackOf(packet: RtpPacket): UpTrack | undefined {
    const known = this.#bySsrc.get(packet.ssrc);
    if (known || this.#midExtensionId === undefined) return known;
    const mid = packet.extensions.get(this.#midExtensionId)?.toString();
    const track = mid === undefined ? undefined : this.#byMid.get(mid)?.track;
    if (track) this.#bindStreams(track, [packet.ssrc]);
    return track;
  }
}

/**
 * Receiver estimated maximum bitrate (draft-alvestrand-rmcat-remb-03): tells a sender how much it may send over all
 * of `mediaSsrcs`.
 */
function buildRemb(senderSsrc: number, bitrateBps: number, mediaSsrcs: readonly number[]): Buffer {
  const packet = Buffer.alloc(20 + mediaSsrcs.length * 4);
  packet[0] = 0x80 | 15;
  packet[1] = 206;
  packet.writeUInt16BE(packet.length / 4 - 1, 2);
  packet.writeUInt32BE(senderSsrc, 4);
  packet.write('REMB', 12, 'latin1');
  const exponent = Math.max(0, Math.ceil(Math.log2(bitrateBps / 2 ** 18)));
  const mantissa = Math.floor(bitrateBps / 2 ** exponent);
  packet.writeUInt32BE(((mediaSsrcs.length << 24) | (exponent << 18) | mantissa) >>> 0, 16);
  mediaSsrcs.forEach((ssrc, i) => {
    packet.writeUInt32BE(ssrc, 20 + i * 4);
  });
  return packet;
}
