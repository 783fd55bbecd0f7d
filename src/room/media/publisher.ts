import { describeError, OffhookError } from '../../errors/index.js';
import { createLogger, type Logger } from '../../logging/index.js';
import { CongestionControl } from '../../rtp/index.js';
import {
  type DataChannel,
  dataSection,
  type MediaSection,
  type MediaTrack,
  ssrcsOf,
} from '../../transport/index.js';
import { createDeferred, type Deferred } from '../deferred.js';
import { MediaConnection, type MediaConnectionOptions } from './media-connection.js';

const log = createLogger('room/publisher');

export interface PublisherOptions extends MediaConnectionOptions {
  sendOffer: (sdp: string, offerId: number) => void;
}

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

/** The peer connection over which we send: we offer, the server answers. It carries the data channels from its start. */
export class Publisher {
  readonly media: MediaConnection;
  /** Of the video that is sent where the server numbers packets. */
  readonly congestion: CongestionControl;
  readonly reliable: DataChannel;
  readonly lossy: DataChannel;
  #options: PublisherOptions;
  #log: Logger;
  /** In the order of the offers, in which none ever disappears (RFC 8829). */
  #sections: MediaSection[] = [dataSection('0')];
  #publications = new Map<string, Publication>();
  #offerId = 0;
  /** Something changed that is in no offer yet. */
  #changed = false;
  #awaitingAnswer = false;

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#log = log.about(options.timeline.subject);
    this.media = new MediaConnection('publisher', options);
    const { pc, stages } = this.media;
    this.congestion = new CongestionControl({ send: (packet) => void pc.sendPacket(packet) });
    this.media.onConnected = () => {
      stages.begin('data', this.media.pair);
      this.#openSections();
    };
    this.lossy = pc.createDataChannel('_lossy', { ordered: true, maxRetransmits: 0 });
    this.reliable = pc.createDataChannel('_reliable', { ordered: true });
  }

  /** The data channels are open: everything that goes over this connection can go. */
  dataIsOpen(): void {
    this.media.stages.succeed(this.media.pair);
  }

  /** Adds a sending media section; `negotiate` offers it. */
  addTrack({ kind, ssrcs = [], ...media }: PublishedMedia): PublishedSection {
    const mid = String(this.#sections.length);
    const opening = createDeferred<MediaSection>();
    const publication: Publication = {
      media: this.media.pc.addTrack({ mid, kind, ssrcs: [...ssrcs, ...ssrcsOf(media)] }),
      opened: opening.promise,
      answered: undefined,
      opening,
    };
    this.#sections.push({ ...media, kind, mid, direction: 'sendonly' });
    this.#publications.set(mid, publication);
    return publication;
  }

  removeTrack({ media: { mid } }: PublishedSection): void {
    const publication = this.#publications.get(mid);
    if (!publication) return;
    this.#publications.delete(mid);
    this.#sections = this.#sections.map((section) =>
      section.mid === mid ? { ...section, direction: 'inactive' } : section,
    );
    publication.media.close();
    publication.opening.reject(closedError());
  }

  /** Offers what there is now. While an answer is awaited, once it has come. */
  negotiate(): void {
    this.#changed = true;
    if (this.#awaitingAnswer || this.media.isClosed) return;
    this.#awaitingAnswer = true;
    // What is added in the same turn goes into the same offer.
    queueMicrotask(() => this.#offer());
  }

  /** After a resume: offers anew, restarting ICE where that can be done. An answer that was lost is not awaited. */
  restart(): void {
    this.#awaitingAnswer = true;
    this.#offer({ iceRestart: true });
  }

  handleAnswer(sdp: string, offerId: number): void {
    if (this.media.isClosed) return;
    if (!this.#awaitingAnswer || (offerId !== 0 && offerId !== this.#offerId)) {
      this.#log.warn(`answer ${offerId} answers no offer: the last one was ${this.#offerId}`);
      return;
    }
    try {
      const { sections } = this.media.pc.acceptAnswer(sdp);
      for (const section of sections) {
        const publication = this.#publications.get(section.mid);
        if (publication) publication.answered = section;
      }
    } catch (error) {
      this.#log.error(`the answer of the server is not usable: ${describeError(error)}`);
      this.#options.onFailure(
        new OffhookError('OFFHOOK_TRANSPORT', 'the answer of the server is not usable', { cause: error }),
      );
      return;
    }
    this.#awaitingAnswer = false;
    this.#openSections();
    if (this.#changed) this.negotiate();
  }

  close(): void {
    this.congestion.close();
    this.media.close();
    for (const { opening } of this.#publications.values()) opening.reject(closedError());
  }

  #openSections(): void {
    if (this.media.state !== 'connected') return;
    for (const { answered, opening } of this.#publications.values()) if (answered) opening.resolve(answered);
  }

  #offer({ iceRestart = false } = {}): void {
    if (this.media.isClosed) return;
    this.#changed = false;
    try {
      const sdp = this.media.pc.offer(this.#sections, { iceRestart });
      this.media.stages.begin('ice');
      this.#offerId++;
      this.#options.sendOffer(sdp, this.#offerId);
    } catch (cause) {
      if (iceRestart && cause instanceof OffhookError && cause.code === 'OFFHOOK_NOT_SUPPORTED') {
        this.#offer();
        return;
      }
      this.#options.onFailure(
        new OffhookError('OFFHOOK_TRANSPORT', `no offer could be made: ${describeError(cause)}`, { cause }),
      );
    }
  }
}

function closedError(): OffhookError {
  return new OffhookError('OFFHOOK_CLOSED', 'the track was closed before it could be sent');
}
