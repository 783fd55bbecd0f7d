import { CongestionControl, type RtcpPacket } from '../../rtp/index.js';
import type { MediaSection } from '../../transport/index.js';
import type { Boundary } from '../boundary.js';
import { codecsFor, offeredExtensions } from './codecs.js';
import type { DataOutbox } from './data-outbox.js';
import { DownTrack } from './down-track.js';
import type { Downlink } from './downlink.js';
import type { OfferedMedia } from './publisher-answer.js';
import type { UpTrack } from './up-track.js';

interface SharedSubscriberOptions {
  boundary: Boundary;
  outbox: DataOutbox;
  /** Sends RTP and RTCP on the publisher's connection. */
  send: (packet: Buffer) => void;
  /** As DownTrackOptions has it. */
  takesTrailers: boolean;
  /** Asks the client for an offer with so many more sections to receive on. */
  requireSections: (audios: number, videos: number) => void;
  onTrackAccepted: (track: DownTrack) => void;
}

/** What one of the client's sections carries to it. */
type Placement = Pick<MediaSection, 'direction' | 'codecs' | 'extensions' | 'msid' | 'sources'>;

/**
 * Receiving on the peer connection that the participant publishes on (`/rtc/v1`): the client makes every offer, and
 * tracks are sent on those of its sections that are to receive.
 */
export class SharedSubscriber implements Downlink {
  readonly downTracks = new Map<string, DownTrack>();
  readonly outbox: DataOutbox;
  #options: SharedSubscriberOptions;
  #congestion: CongestionControl;
  /** What each section carried in the last answer, by MID. */
  #placed = new Map<string, DownTrack>();
  /** Sections of the last offer that carry nothing. */
  #free = { audio: 0, video: 0 };
  #awaitsOffer = true;
  #nextSsrc = Math.floor(Math.random() * 0x7fffffff);

  constructor(options: SharedSubscriberOptions) {
    this.#options = options;
    this.outbox = options.outbox;
    const { send, boundary } = options;
    this.#congestion = new CongestionControl({
      send,
      onError: (error) => boundary.report('pacing', error),
    });
  }

  start(): void {}

  addTrack(upTrack: UpTrack, publisherSid: string): void {
    if (this.downTracks.has(upTrack.sid)) return;
    const { send, takesTrailers } = this.#options;
    const ssrc = this.#nextSsrc++ >>> 0;
    const track = new DownTrack({
      upTrack,
      publisherSid,
      ssrc,
      send,
      takesTrailers,
      congestion: this.#congestion,
    });
    this.downTracks.set(upTrack.sid, track);
    upTrack.downTracks.add(track);
    this.#require();
  }

  removeTrack(sid: string): void {
    const track = this.downTracks.get(sid);
    if (!track) return;
    this.#drop(track);
    this.#require();
  }

  /**
   * Places tracks on the sections of an offer that are to receive, by MID. A section is left empty once between two
   * tracks, so that the client sees the first one end.
   */
  place(offered: readonly OfferedMedia[]): Map<string, Placement> {
    this.#awaitsOffer = false;
    this.#free = { audio: 0, video: 0 };
    const placements = new Map<string, Placement>();
    const unplaced = this.#unplaced();
    for (const media of offered.filter(({ receiving }) => receiving)) {
      const before = this.#placed.get(media.mid);
      const gone = before && this.downTracks.get(before.upTrack.sid) !== before;
      if (gone) this.#placed.delete(media.mid);
      const next = unplaced.findIndex((track) => track.upTrack.kind === media.kind && !gone && !before);
      const track = gone ? undefined : (before ?? unplaced.splice(next, next < 0 ? 0 : 1)[0]);
      if (!track) {
        this.#free[media.kind]++;
        continue;
      }
      const placement = placementOf(track, media);
      if (placement.codecs.length === 0) {
        // In no format that the client could play.
        this.#drop(track);
        continue;
      }
      this.#placed.set(media.mid, track);
      placements.set(media.mid, placement);
    }
    return placements;
  }

  /** The answer has been sent: what was placed is forwarded from now on. */
  placed(): void {
    for (const track of this.#placed.values()) {
      if (track.isAccepted) continue;
      track.accept(track.codecs, track.extensions);
      this.#options.onTrackAccepted(track);
    }
    if (this.#unplaced().length > 0) this.#require();
  }

  /** Track sids by MID, as the client wants to know them. */
  midToTrackId(): Record<string, string> {
    return Object.fromEntries([...this.#placed].map(([mid, { upTrack }]) => [mid, upTrack.sid]));
  }

  handleRtcp(report: RtcpPacket, nowMs: number): void {
    if (report.type === 'transportFeedback') this.#congestion.handleFeedback(report);
    for (const track of this.downTracks.values()) track.handleRtcp(report, nowMs);
  }

  accept(): void {}

  addIceCandidate(): void {}

  /** The client offers, and restarts ICE with that. */
  resumed(): void {
    this.#awaitsOffer = false;
    if (this.#unplaced().length > 0) this.#require();
  }

  update(nowMs: number): void {
    this.#congestion.shareOut();
    for (const track of this.downTracks.values()) track.update(nowMs);
  }

  close(): void {
    for (const track of this.downTracks.values()) track.upTrack.downTracks.delete(track);
    this.downTracks.clear();
    this.#congestion.close();
  }

  #drop(track: DownTrack): void {
    this.downTracks.delete(track.upTrack.sid);
    track.upTrack.downTracks.delete(track);
    track.close();
  }

  #unplaced(): DownTrack[] {
    const placed = new Set(this.#placed.values());
    return [...this.downTracks.values()].filter((track) => !placed.has(track));
  }

  #require(): void {
    if (this.#awaitsOffer) return;
    this.#awaitsOffer = true;
    const unplaced = this.#unplaced();
    const missing = (kind: 'audio' | 'video') =>
      Math.max(0, unplaced.filter(({ upTrack }) => upTrack.kind === kind).length - this.#free[kind]);
    this.#options.requireSections(missing('audio'), missing('video'));
  }
}

function placementOf(track: DownTrack, media: OfferedMedia): Placement {
  const known = offeredExtensions[media.kind].map(({ uri }) => uri);
  const extensions = media.extensions.filter(({ uri }) => known.includes(uri));
  const { upTrack, publisherSid, ssrc } = track;
  track.offer(codecsFor(upTrack.codecs, media.codecs), extensions);
  const streamId = `${publisherSid}|${upTrack.sid}`;
  return {
    direction: 'sendonly',
    codecs: track.codecs,
    extensions,
    msid: { streamId, trackId: upTrack.sid },
    sources: [{ ssrc, cname: publisherSid }],
  };
}
