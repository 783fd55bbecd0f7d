import type { AddTrackRequest, DataPacket_Kind, TrackInfo } from '@livekit/protocol';
import { buildReceiverReport, isRtcp, parseRtcp, parseRtp, type RtpPacket } from '../../rtp/index.js';
import { OffhookError } from '../../timeline/index.js';
import type { DataChannel, IceCandidate } from '../../transport/index.js';
import { type Codec, extensionUris } from './codecs.js';
import { dataKindOf } from './data-channels.js';
import { DataOutbox } from './data-outbox.js';
import { writeDescription } from './media-section.js';
import { type MediaEndpoint, MediaTransport } from './media-transport.js';
import { answerSections, type OfferedMedia, readOffer } from './publisher-answer.js';
import { buildRemb } from './remb.js';
import { parseDescription, readSessionParameters } from './session-parameters.js';
import type { SharedSubscriber } from './shared-subscriber.js';
import { serverSsrc, UpTrack } from './up-track.js';

export interface PublisherOptions {
  name: string;
  endpoint: MediaEndpoint;
  iceLite: boolean;
  candidates: readonly string[];
  onTrackPublished: (track: UpTrack) => void;
  onTrackUnpublished: (track: UpTrack) => void;
  onData: (message: Uint8Array, kind: DataPacket_Kind) => void;
  onConnected: () => void;
  onFailed: () => void;
}

interface PendingTrack {
  request: AddTrackRequest;
  info: TrackInfo;
}

/** What one video track may send; there is no estimate of the way. */
const videoBitrateBps = 3_000_000;
/** As many as the count of a report's header can say (RFC 3550, section 6.4.2). */
const maxReportBlocks = 31;

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
  #transport: MediaTransport;
  #remoteUfrag: string | undefined;
  #pending: PendingTrack[] = [];
  #wishes = new Map<string, AddTrackRequest>();
  #byMid = new Map<string, { track: UpTrack; trackId: string }>();
  #bySsrc = new Map<number, UpTrack>();
  #midExtensionId: number | undefined;
  #version = 0;

  constructor(options: PublisherOptions) {
    this.#options = options;
    const { name, endpoint, iceLite, onConnected, onFailed } = options;
    this.#transport = new MediaTransport({ name, endpoint, iceLite, offerer: false });
    this.#transport.onPacket = (packet) => this.#receive(packet);
    this.#transport.onDataChannel = (channel) => this.#addChannel(channel);
    this.#transport.onConnected = onConnected;
    this.#transport.onFailed = onFailed;
  }

  /** Announces a track, which is published when an offer brings it. */
  addTrack(request: AddTrackRequest, info: TrackInfo): void {
    this.#pending.push({ request, info });
  }

  /** The track of this sid, published or still awaited. */
  findInfo(sid: string): TrackInfo | undefined {
    return this.tracks.get(sid)?.info ?? this.#pending.find(({ info }) => info.sid === sid)?.info;
  }

  /** The sid that was given to an announced track. */
  findByCid(cid: string): TrackInfo | undefined {
    return this.#pending.find(({ request }) => request.cid === cid)?.info;
  }

  /**
   * Answers an offer.
   *
   * One that restarts ICE is answered with what was agreed before: the addon cannot restart it, and the client's
   * agent keeps the pair that works until it has a better one (RFC 8445, section 9), which it will not get.
   *
   * @throws OffhookError when the offer cannot be parsed, the transport refuses it, or it restarts ICE because there
   *   is no pair that works; nothing changes then.
   */
  answer(sdp: string): string {
    const offer = parseDescription(sdp);
    const remote = readSessionParameters(offer);
    const restarts = this.#remoteUfrag !== undefined && this.#remoteUfrag !== remote.ufrag;
    if (restarts && !this.#transport.isConnected) {
      throw new OffhookError('OFFHOOK_NOT_SUPPORTED', 'a connection that is lost cannot be restarted');
    }
    this.#transport.start(remote);
    this.#remoteUfrag ??= remote.ufrag;
    const media = readOffer(offer);
    for (const section of media) this.#wish(section);
    const sections = answerSections(offer, (mid) => {
      const request = this.#wishes.get(mid);
      return request && { red: !request.disableRed, stereo: request.stereo, dtx: !request.disableDtx };
    });
    for (const section of media) {
      this.#apply(section, sections.find(({ mid }) => mid === section.mid)?.codecs ?? []);
    }
    const placements = this.shared?.place(media);
    const answered = sections.map((section) => ({ ...section, ...placements?.get(section.mid) }));
    this.#version++;
    return writeDescription({
      sessionId: '1',
      version: this.#version,
      setup: remote.setup === 'active' ? 'passive' : 'active',
      iceLite: this.#options.iceLite,
      transport: this.#transport.local,
      candidates: this.#options.candidates,
      sections: answered,
    });
  }

  /** Sends RTP or RTCP to the client. */
  send(packet: Buffer): void {
    this.#transport.send(packet);
  }

  addIceCandidate(candidate: IceCandidate): void {
    this.#transport.addIceCandidate(candidate);
  }

  /** Ends a track of which the client has not been asked. */
  unpublish(sid: string): void {
    const track = this.tracks.get(sid);
    if (!track) return;
    for (const [mid, bound] of this.#byMid) if (bound.track === track) this.#byMid.delete(mid);
    this.#remove(track);
  }

  /** Sends the receiver reports that are due. */
  report(nowMs: number): void {
    const blocks = [...this.tracks.values()]
      .flatMap((track) => track.takeReports(nowMs))
      .slice(0, maxReportBlocks);
    this.fractionLost = Math.max(0, ...blocks.map(({ fractionLost }) => fractionLost));
    if (blocks.length > 0) this.#transport.send(buildReceiverReport(serverSsrc, 'offhook', blocks));
    const video = [...this.#bySsrc].filter(([, { kind }]) => kind === 'video').map(([ssrc]) => ssrc);
    if (video.length > 0) this.#transport.send(buildRemb(serverSsrc, videoBitrateBps * video.length, video));
  }

  close(): void {
    this.#transport.close();
  }

  #addChannel(channel: DataChannel): void {
    const kind = dataKindOf(channel.label);
    if (kind === undefined) return;
    this.outbox.add(channel);
    channel.onMessage = (message) => this.#options.onData(message, kind);
  }

  /** Remembers which request a section carries, before the answer is made. */
  #wish(section: OfferedMedia): void {
    const pending = section.sending ? this.#findPending(section) : undefined;
    if (pending) this.#wishes.set(section.mid, pending.request);
  }

  #apply(section: OfferedMedia, codecs: readonly Codec[]): void {
    const bound = this.#byMid.get(section.mid);
    if (bound && (!section.sending || bound.trackId !== section.trackId)) {
      this.#byMid.delete(section.mid);
      this.#remove(bound.track);
    }
    if (!section.sending) return;
    const midExtension = section.extensions.find(({ uri }) => uri === extensionUris.mid);
    if (midExtension) this.#midExtensionId = midExtension.id;
    const track = this.#byMid.get(section.mid)?.track ?? this.#publish(section);
    if (!track) return;
    track.negotiated(section, codecs);
    for (const ssrc of section.ssrcs) this.#bySsrc.set(ssrc, track);
    if (this.tracks.has(track.sid)) return;
    this.tracks.set(track.sid, track);
    this.#options.onTrackPublished(track);
  }

  #publish(section: OfferedMedia): UpTrack | undefined {
    const pending = this.#findPending(section);
    if (!pending) return undefined;
    this.#pending.splice(this.#pending.indexOf(pending), 1);
    const { info } = pending;
    info.mid = section.mid;
    const sendRtcp = (packet: Buffer) => void this.#transport.send(packet);
    const track = new UpTrack({ info, sendRtcp }, section.kind);
    this.#byMid.set(section.mid, { track, trackId: section.trackId });
    return track;
  }

  /** The announced track of a section: by its id, or the only one of its kind. */
  #findPending({ kind, streamId, trackId }: OfferedMedia): PendingTrack | undefined {
    const named = this.#pending.find(({ request: { cid } }) => cid === trackId || cid === streamId);
    if (named) return named;
    const alike = this.#pending.filter(({ info }) => (info.type === 0 ? 'audio' : 'video') === kind);
    return alike.length === 1 ? alike[0] : undefined;
  }

  #remove(track: UpTrack): void {
    for (const [ssrc, owner] of this.#bySsrc) if (owner === track) this.#bySsrc.delete(ssrc);
    if (this.tracks.delete(track.sid)) this.#options.onTrackUnpublished(track);
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
    if (packet) this.#trackOf(packet)?.handleRtp(packet, bytes.length, nowMs);
  }

  /** By SSRC, or by MID for streams whose SSRC was not signalled (RFC 9143). */
  #trackOf(packet: RtpPacket): UpTrack | undefined {
    const known = this.#bySsrc.get(packet.ssrc);
    if (known || this.#midExtensionId === undefined) return known;
    const mid = packet.extensions.get(this.#midExtensionId)?.toString();
    const track = mid === undefined ? undefined : this.#byMid.get(mid)?.track;
    if (track) this.#bySsrc.set(packet.ssrc, track);
    return track;
  }
}
