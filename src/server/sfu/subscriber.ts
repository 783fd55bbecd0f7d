import { DataPacket_Kind } from '@livekit/protocol';
import { isRtcp, parseRtcp } from '../../rtp/index.js';
import type { IceCandidate } from '../../transport/index.js';
import type { Boundary } from '../boundary.js';
import { forwardableCodecs, idleCodecs, offeredExtensions } from './codecs.js';
import { dataChannelLabels } from './data-channels.js';
import { DataOutbox } from './data-outbox.js';
import { DownTrack } from './down-track.js';
import type { Downlink } from './downlink.js';
import { type MediaSection, writeDescription } from './media-section.js';
import { type MediaEndpoint, MediaTransport } from './media-transport.js';
import { parseDescription, readSessionParameters } from './session-parameters.js';
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
];

/** The peer connection on which a participant receives: tracks of others, and data. */
export class Subscriber implements Downlink {
  /** Subscriptions by track sid. */
  readonly downTracks = new Map<string, DownTrack>();
  readonly outbox = new DataOutbox();
  #options: SubscriberOptions;
  #transport: MediaTransport;
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
    this.#transport = new MediaTransport({ name, endpoint, iceLite, offerer: true, channels });
    this.#transport.onConnected = boundary.wrap('connecting', onConnected);
    this.#transport.onFailed = boundary.wrap('failing', onFailed);
    this.#transport.onPacket = boundary.wrap('media', (packet) => this.#receive(packet));
    this.#transport.onDataChannel = boundary.wrap('data channel', (channel) => this.outbox.add(channel));
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
      send: (packet) => void this.#transport.send(packet),
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
    const answer = parseDescription(sdp);
    this.#transport.start(readSessionParameters(answer));
    this.#awaitsAnswer = false;
    const slots = new Map(this.#slots.map((slot) => [slot.mid, slot]));
    for (const section of answer.media) {
      const slot = slots.get(String(section.mid));
      if (!slot) continue;
      const track = slot.offered;
      slot.answered = track;
      if (!track || section.port === 0 || section.direction === 'inactive') continue;
      const isNew = !track.isAccepted;
      track.accept(forwardableCodecs(section));
      if (isNew) this.#options.onTrackAccepted(track);
    }
    if (this.#offerAgain) this.#negotiate();
  }

  addIceCandidate(candidate: IceCandidate): void {
    this.#transport.addIceCandidate(candidate);
  }

  /** Repeats an offer that may have been lost with the signalling connection. */
  offerAgain(): void {
    if (!this.#awaitsAnswer) return;
    this.#awaitsAnswer = false;
    this.#negotiate();
  }

  close(): void {
    this.#closed = true;
    for (const track of this.downTracks.values()) track.upTrack.downTracks.delete(track);
    this.downTracks.clear();
    this.outbox.close();
    this.#transport.close();
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

  #negotiate(): void {
    if (!this.#started || this.#closed) return;
    this.#offerAgain = this.#awaitsAnswer;
    if (this.#awaitsAnswer) return;
    this.#awaitsAnswer = true;
    this.#offerId++;
    for (const slot of this.#slots) slot.offered = slot.track;
    const sdp = writeDescription({
      sessionId: '1',
      version: this.#offerId,
      setup: 'actpass',
      iceLite: this.#options.iceLite,
      transport: this.#transport.local,
      candidates: this.#options.candidates,
      sections: [
        { kind: 'application', mid: '0', direction: 'inactive', codecs: [], extensions: [] },
        ...this.#slots.map(sectionOf),
      ],
    });
    this.#options.sendOffer(sdp, this.#offerId);
  }

  #receive(packet: Buffer): void {
    if (!isRtcp(packet)) return;
    const nowMs = performance.now();
    for (const report of parseRtcp(packet)) {
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
    source: { ssrc: track.ssrc, cname: track.publisherSid, streamId, trackId: sid },
  };
}
