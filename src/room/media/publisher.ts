import { SessionDescription } from '@livekit/protocol';
import { describeError, OffhookError } from '../../errors/index.js';
import { limits } from '../../limits.js';
import { CongestionControl } from '../../rtp/index.js';
import {
  type DataChannel,
  dataSection,
  type MediaSection,
  type MediaTrack,
  ssrcsOf,
} from '../../transport/index.js';
import { createDeferred, type Deferred } from '../deferred.js';
import type { TransportStats } from '../stats.js';
import { MediaConnection, type MediaConnectionOptions } from './media-connection.js';
import { receivingSection } from './received-sections.js';

export interface PublisherOptions extends MediaConnectionOptions {
  /** The server sends over it too: there is no other one. */
  receives: boolean;
}

export const dataTrackLabel = '_data_track';

/** Sections for tracks of others that a session with one connection begins with, of each kind, as the native engine. */
const firstReceivingSections = 3;

/** What is published on one section. */
export type PublishedMedia = Pick<MediaSection, 'codecs' | 'extensions' | 'msid' | 'sources' | 'rids'> & {
  kind: 'audio' | 'video';
  /** Of the layers of a simulcast, which the offer names by RID alone. */
  ssrcs?: readonly number[];
};

/** A media section of the publisher, sending. */
export interface PublishedSection {
  readonly media: MediaTrack;
  /** Resolves with the server's answer when packets can be sent; rejects when the section is closed before. */
  readonly opened: Promise<MediaSection>;
}

interface Publication extends PublishedSection {
  answered: MediaSection | undefined;
  opening: Deferred<MediaSection>;
}

/**
 * The peer connection over which we send, and receive where there is only one: we offer, the server answers. It carries
 * the data channels from its start.
 */
export class Publisher extends MediaConnection {
  /** Of the video that is sent where the server numbers packets. */
  readonly congestion: CongestionControl;
  readonly reliable: DataChannel;
  readonly lossy: DataChannel;
  readonly dataTracks: DataChannel;
  #receives: boolean;
  /** In the order of the offers, in which none ever disappears (RFC 8829). */
  #sections: MediaSection[] = [dataSection('0')];
  #publications = new Map<string, Publication>();
  /** The sections of the last offer, and MIDs of those that both sides know to be inactive: for other tracks to use. */
  #offered: readonly MediaSection[] = [];
  #free = new Set<string>();
  #lastOffer: string | undefined;
  #offerId = 0;
  /** Something changed that is in no offer yet. */
  #changed = false;
  #awaitingAnswer = false;

  constructor(options: PublisherOptions) {
    super('publisher', options);
    this.#receives = options.receives;
    const { pc } = this;
    this.congestion = new CongestionControl({
      send: (packet) => void pc.sendPacket(packet),
      onError: (error) => this.log.error(`a packet of video was not sent: ${describeError(error)}`),
    });
    this.lossy = pc.createDataChannel('_lossy', { ordered: true, maxRetransmits: 0 });
    this.reliable = pc.createDataChannel('_reliable', { ordered: true });
    this.dataTracks = pc.createDataChannel(dataTrackLabel, { ordered: false, maxRetransmits: 0 });
  }

  /** The data channels are open: everything that goes over this connection can go. */
  dataIsOpen(): void {
    this.stages.succeed(this.pc.pair);
  }

  /** Adds a sending media section; `negotiate` offers it. */
  addTrack({ kind, ssrcs = [], ...media }: PublishedMedia): PublishedSection {
    const free = this.#freeSection(kind, media.codecs[0]?.name);
    const mid = free?.mid ?? String(this.#sections.length);
    this.#free.delete(mid);
    const opening = createDeferred<MediaSection>();
    const publication: Publication = {
      media: this.pc.addTrack({ mid, kind, ssrcs: [...ssrcs, ...ssrcsOf(media)] }),
      opened: opening.promise,
      answered: undefined,
      opening,
    };
    const section: MediaSection = { ...media, kind, mid, direction: 'sendonly' };
    if (free) this.#sections = this.#sections.map((before) => (before === free ? section : before));
    else this.#sections.push(section);
    this.#publications.set(mid, publication);
    return publication;
  }

  /**
   * Once tracks of two codecs were published, livekit-server receives nothing on a section that is used again: each track
   * gets one of its own then, as the native engine gives to all. On one that is not the last it misses the track's end.
   */
  #freeSection(kind: 'audio' | 'video', codec: string | undefined): MediaSection | undefined {
    const used = this.#sections.filter(
      (section) => section.kind === kind && section.direction !== 'recvonly',
    );
    if (used.some(({ codecs }) => codecs[0]?.name !== codec)) return undefined;
    const last = this.#sections.at(-1);
    return last && used.includes(last) && this.#free.has(last.mid) ? last : undefined;
  }

  /** Ends a section. One of a former session's publisher is passed over, whatever has its MID here. */
  removeTrack(section: PublishedSection): void {
    const { mid } = section.media;
    const publication = this.#publications.get(mid);
    if (publication !== section) return;
    this.#publications.delete(mid);
    this.#sections = this.#sections.map((section) =>
      section.mid === mid ? { ...section, direction: 'inactive' } : section,
    );
    publication.media.close();
    publication.opening.reject(closedError());
  }

  override stats(): TransportStats {
    return { ...super.stats(), availableOutgoingBps: this.congestion.bitrateBps };
  }

  /** The offer that begins a session with one connection, sent by the one who calls; its stages begin with `begin`. */
  firstOffer(): SessionDescription {
    this.#addReceiving({ numAudios: firstReceivingSections, numVideos: firstReceivingSections });
    this.#awaitingAnswer = true;
    return this.#writeOffer();
  }

  /** The session of `firstOffer` has begun, and its answer will come. */
  begin(): void {
    this.stages.begin('ice');
  }

  /** The server wants to send more tracks than there are sections for, or to have another offer. */
  offerToReceive(wanted: { numAudios: number; numVideos: number }): void {
    this.#addReceiving(wanted);
    this.negotiate();
  }

  /** Offers what there is now. While an answer is awaited, once it has come. */
  negotiate(): void {
    this.#changed = true;
    if (this.#awaitingAnswer || this.isClosed) return;
    this.#awaitingAnswer = true;
    // What is added in the same turn goes into the same offer.
    queueMicrotask(() => this.#offer());
  }

  /** After a resume: makes another offer, which restarts ICE where possible. An earlier answer is not awaited any more. */
  restart(): void {
    this.#awaitingAnswer = true;
    this.#offer({ iceRestart: true });
  }

  handleAnswer(sdp: string, offerId: number, trackSids: Readonly<Record<string, string>>): void {
    if (this.isClosed) return;
    if (!this.#awaitingAnswer || (offerId !== 0 && offerId !== this.#offerId)) {
      this.log.warn(`answer ${offerId} is ignored: the latest offer is ${this.#offerId}`);
      return;
    }
    try {
      const { sections } = this.pc.acceptAnswer(sdp);
      for (const section of sections) {
        const publication = this.#publications.get(section.mid);
        if (publication) publication.answered = section;
      }
      this.agreed = { offer: this.#lastOffer, answer: sdp };
      this.#findFree();
      if (this.#receives) this.options.onTracks(this.received.take(sections, trackSids));
    } catch (error) {
      this.log.error(`the server's answer cannot be used: ${describeError(error)}`);
      this.options.onFailure(
        new OffhookError('OFFHOOK_TRANSPORT', "the server's answer cannot be used", { cause: error }),
      );
      return;
    }
    this.#awaitingAnswer = false;
    this.#openSections();
    if (this.#changed) this.negotiate();
  }

  override close(): void {
    this.congestion.close();
    super.close();
    for (const { opening } of this.#publications.values()) opening.reject(closedError());
  }

  protected onConnected(): void {
    this.stages.begin('data', this.pc.pair);
    this.#openSections();
  }

  #openSections(): void {
    if (this.state !== 'connected') return;
    for (const { answered, opening } of this.#publications.values()) if (answered) opening.resolve(answered);
  }

  #addReceiving({ numAudios, numVideos }: { numAudios: number; numVideos: number }): void {
    const add = (kind: 'audio' | 'video', count: number) => {
      const room = limits.sections.value - this.#sections.length;
      for (let added = 0; added < Math.min(count, room); added++)
        this.#sections.push(receivingSection(kind, String(this.#sections.length)));
    };
    add('audio', numAudios);
    add('video', numVideos);
  }

  /** A section is used again once the server has seen that its track ended. */
  #findFree(): void {
    const isInactive = ({ direction }: MediaSection) => direction === 'inactive';
    for (const section of this.#offered) {
      if (isInactive(section) && this.#sections.includes(section)) this.#free.add(section.mid);
    }
  }

  #writeOffer({ iceRestart = false } = {}): SessionDescription {
    const sdp = this.pc.offer(this.#sections, { iceRestart });
    this.#offered = [...this.#sections];
    this.#lastOffer = sdp;
    this.#offerId++;
    return new SessionDescription({ type: 'offer', sdp, id: this.#offerId });
  }

  #offer({ iceRestart = false } = {}): void {
    if (this.isClosed) return;
    this.#changed = false;
    try {
      const value = this.#writeOffer({ iceRestart });
      this.stages.begin('ice');
      this.options.send({ case: 'offer', value });
    } catch (cause) {
      if (iceRestart && cause instanceof OffhookError && cause.code === 'OFFHOOK_NOT_SUPPORTED') {
        this.#offer();
        return;
      }
      this.options.onFailure(
        new OffhookError('OFFHOOK_TRANSPORT', `no offer could be made: ${describeError(cause)}`, { cause }),
      );
    }
  }
}

function closedError(): OffhookError {
  return new OffhookError('OFFHOOK_CLOSED', 'the track was closed before it could be sent');
}
