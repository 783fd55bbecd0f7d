import { DataPacket_Kind } from '@livekit/protocol';
import { CongestionControl, isRtcp, parseRtcp } from '../../rtp/index.js';
import { dataSection, type IceCandidate, type MediaSection, PeerConnection } from '../../transport/index.js';
import type { Boundary } from '../boundary.js';
import type { WorkMeter } from '../work-meter.js';
import { parseClientDescription } from './client-description.js';
import { forwardableCodecs, idleCodecs, offeredExtensions } from './codecs.js';
import { dataChannelLabels, dataTrackLabel } from './data-channels.js';
import { DataOutbox } from './data-outbox.js';
import { DownTrack } from './down-track.js';
import type { Downlink } from './downlink.js';
import type { MediaEndpoint } from './ice-addresses.js';
import type { UpTrack } from './up-track.js';

export interface SubscriberOptions {
  name: string;
  /** What the transport brings is handled inside of this. */
  boundary: Boundary;
  endpoint: MediaEndpoint;
  iceLite: boolean;
  candidates: readonly string[];
  /** Sends an offer to the client, which answers with the same id. */
  sendOffer: (sdp: string, id: number) => void;
  /** The client has accepted a track and gets its packets from now on. */
  onTrackAccepted: (track: DownTrack) => void;
  onConnected: () => void;
  onFailed: () => void;
  /** As DownTrackOptions has it. */
  takesTrailers: boolean;
  /** What the client's packets cost. */
  work: WorkMeter;
}

/** A media section of the offers. It may carry another track once the client has seen it without any. */
interface Slot {
  mid: string;
  kind: 'audio' | 'video';
  track: DownTrack | undefined;
  /** What it carried in the last offer. */
  offered: DownTrack | undefined;
  /** What it carried in the last offer that was answered. */
  answered: DownTrack | undefined;
}

const channels = [
  { label: dataChannelLabels[DataPacket_Kind.RELIABLE], ordered: true },
  { label: dataChannelLabels[DataPacket_Kind.LOSSY], ordered: false, maxRetransmits: 0 },
  { label: dataTrackLabel, ordered: false, maxRetransmits: 0 },
];

/** The peer connection on which a participant receives: tracks of others, and data. */
export class Subscriber implements Downlink {
  /** Subscriptions by track sid. */
  readonly downTracks = new Map<string, DownTrack>();
  readonly outbox = new DataOutbox();
  #options: SubscriberOptions;
  #connection: PeerConnection;
  #congestion: CongestionControl;
  #started = false;
  #slots: Slot[] = [];
  #offerId = 0;
  #awaitsAnswer = false;
  #offerAgain = false;
  #nextSsrc = Math.floor(Math.random() * 0x7fffffff);
  #closed = false;

  constructor(options: SubscriberOptions) {
    this.#options = options;
    const { name, boundary, endpoint, iceLite, onConnected, onFailed } = options;
    this.#connection = new PeerConnection({
      name,
      iceLite,
      shared: { port: endpoint.udp, candidates: options.candidates, meter: options.work },
      certificate: endpoint.certificate,
    });
    this.#congestion = new CongestionControl({
      send: (packet) => void this.#connection.sendPacket(packet),
      onError: (error) => boundary.report('pacing', error),
    });
    this.#connection.onPacket = boundary.wrap('media', (packet) => this.#receive(packet));
    this.#connection.onStateChange = boundary.wrap('connecting', (state) => {
      if (state === 'connected') onConnected();
      else if (state === 'failed' || state === 'closed') onFailed();
    });
    for (const { label, ...channel } of channels) {
      this.outbox.add(this.#connection.createDataChannel(label, channel));
    }
  }

  /** Sends the first offer, once; tracks that were added before are in it. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#negotiate();
  }

  addTrack(upTrack: UpTrack, publisherSid: string): void {
    if (this.#closed || this.downTracks.has(upTrack.sid)) return;
    const track = new DownTrack({
      upTrack,
      publisherSid,
      ssrc: this.#nextSsrc++ >>> 0,
      send: (packet) => void this.#connection.sendPacket(packet),
      takesTrailers: this.#options.takesTrailers,
      congestion: this.#congestion,
    });
    this.downTracks.set(upTrack.sid, track);
    upTrack.downTracks.add(track);
    this.#slotFor(upTrack.kind).track = track;
    this.#negotiate();
  }

  removeTrack(sid: string): void {
    const track = this.downTracks.get(sid);
    if (!track) return;
    this.downTracks.delete(sid);
    track.upTrack.downTracks.delete(track);
    track.close();
    for (const slot of this.#slots) if (slot.track === track) slot.track = undefined;
    this.#negotiate();
  }

  /**
   * Takes the client's answer; one to an offer that is not the last is passed over.
   *
   * @throws OffhookError when it cannot be parsed or the transport refuses it.
   */
  accept(sdp: string, id: number): void {
    if (!this.#awaitsAnswer || (id !== 0 && id !== this.#offerId)) return;
    const { sections } = this.#connection.acceptAnswer(parseClientDescription(sdp));
    this.#awaitsAnswer = false;
    const slots = new Map(this.#slots.map((slot) => [slot.mid, slot]));
    for (const section of sections) {
      const slot = slots.get(section.mid);
      if (!slot) continue;
      const track = slot.offered;
      slot.answered = track;
      if (!track || section.rejected || section.direction === 'inactive') continue;
      const isNew = !track.isAccepted;
      track.accept(forwardableCodecs(section), section.extensions);
      if (isNew) this.#options.onTrackAccepted(track);
    }
    if (this.#offerAgain) this.#negotiate();
  }

  addIceCandidate(candidate: IceCandidate): void {
    this.#connection.addIceCandidate(candidate);
  }

  /** Offers again, because the last offer may be lost, with an ICE restart: the client may have other addresses. */
  resumed(): void {
    this.#awaitsAnswer = false;
    this.#negotiate({ iceRestart: this.#connection.state !== 'new' });
  }

  update(nowMs: number): void {
    this.#congestion.shareOut();
    for (const track of this.downTracks.values()) track.update(nowMs);
  }

  close(): void {
    this.#closed = true;
    for (const track of this.downTracks.values()) track.upTrack.downTracks.delete(track);
    this.downTracks.clear();
    this.#congestion.close();
    this.outbox.close();
    this.#connection.close();
  }

  #slotFor(kind: 'audio' | 'video'): Slot {
    const idle = this.#slots.find(
      (slot) => slot.kind === kind && !slot.track && !slot.offered && !slot.answered,
    );
    if (idle) return idle;
    const mid = String(this.#slots.length + 1);
    const slot: Slot = { mid, kind, track: undefined, offered: undefined, answered: undefined };
    this.#slots.push(slot);
    return slot;
  }

  #negotiate({ iceRestart = false } = {}): void {
    if (!this.#started || this.#closed || !this.#connection.isOpen) return;
    this.#offerAgain = this.#awaitsAnswer;
    if (this.#awaitsAnswer) return;
    this.#awaitsAnswer = true;
    this.#offerId++;
    for (const slot of this.#slots) slot.offered = slot.track;
    const sdp = this.#connection.offer([dataSection('0'), ...this.#slots.map(sectionOf)], { iceRestart });
    this.#options.sendOffer(sdp, this.#offerId);
  }

  #receive(packet: Buffer): void {
    if (!isRtcp(packet)) return;
    const nowMs = performance.now();
    for (const report of parseRtcp(packet)) {
      if (report.type === 'transportFeedback') this.#congestion.handleFeedback(report);
      for (const track of this.downTracks.values()) track.handleRtcp(report, nowMs);
    }
  }
}

function sectionOf({ mid, kind, track }: Slot): MediaSection {
  const extensions = offeredExtensions[kind];
  if (!track) return { kind, mid, direction: 'inactive', codecs: idleCodecs[kind], extensions };
  const { sid } = track.upTrack;
  const streamId = `${track.publisherSid}|${sid}`;
  return {
    kind,
    mid,
    direction: 'sendonly',
    codecs: track.codecs,
    extensions,
    msid: { streamId, trackId: sid },
    sources: [{ ssrc: track.ssrc, cname: track.publisherSid }],
  };
}
