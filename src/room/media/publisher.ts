import { createLogger, describeError, OffhookError } from '../../timeline/index.js';
import {
  type AudioTrackOptions,
  type DataChannel,
  type MediaTrack,
  parseSdp,
  type SdpMedia,
  type SessionDescription,
} from '../../transport/index.js';
import { takeCandidates } from './candidate-feed.js';
import { MediaConnection, type MediaConnectionOptions } from './media-connection.js';

const log = createLogger('room/publisher');

export interface PublisherOptions extends MediaConnectionOptions {
  sendOffer: (offer: SessionDescription, offerId: number) => void;
}

/** A media section of the publisher, sending. */
export interface PublishedSection {
  media: MediaTrack;
  ssrc: number;
  /** How the server answered it; undefined until it has. */
  answered: SdpMedia | undefined;
}

/** The peer connection over which we send: we offer, the server answers. It carries the data channels from its start. */
export class Publisher {
  readonly media: MediaConnection;
  readonly reliable: DataChannel;
  readonly lossy: DataChannel;
  #options: PublisherOptions;
  #sections = new Map<string, PublishedSection>();
  #lastMid = 0;
  #offerId = 0;
  /** Something changed that no offer has told the server yet. */
  #changed = false;
  #awaitingAnswer = false;

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.media = new MediaConnection('publisher', options);
    const { pc, stages } = this.media;
    this.media.onConnected = () => stages.begin('data', this.media.pair);
    this.lossy = pc.createDataChannel('_lossy', { ordered: true, maxRetransmits: 0 });
    this.reliable = pc.createDataChannel('_reliable', { ordered: true });
  }

  /** Whether there is a track on which the server reports. */
  get isSending(): boolean {
    return this.#sections.size > 0;
  }

  /** The data channels are open: everything that goes over this connection can go. */
  dataIsOpen(): void {
    this.media.stages.succeed(this.media.pair);
  }

  /** Adds a sending media section; `negotiate` tells the server of it. */
  addAudioTrack(options: Omit<AudioTrackOptions, 'mid' | 'direction'>): PublishedSection {
    this.#lastMid++;
    const mid = String(this.#lastMid);
    const section: PublishedSection = {
      media: this.media.pc.addAudioTrack({ ...options, mid, direction: 'sendonly' }),
      ssrc: options.ssrc,
      answered: undefined,
    };
    this.#sections.set(mid, section);
    return section;
  }

  removeTrack({ media }: PublishedSection): void {
    this.#sections.delete(media.mid);
    if (!this.media.isClosed) media.close();
  }

  /** Offers what there is now. While an answer is awaited, once it has come. */
  negotiate(): void {
    this.#changed = true;
    if (this.#awaitingAnswer || this.media.isClosed) return;
    this.#awaitingAnswer = true;
    // What is added in the same turn goes into the same offer.
    queueMicrotask(() => void this.#offer());
  }

  /** After a resume: offers anew, restarting ICE where that can be done. An answer that was lost is not awaited. */
  restart(): void {
    this.#awaitingAnswer = true;
    void this.#offer({ iceRestart: true });
  }

  handleAnswer(answer: SessionDescription, offerId: number): void {
    if (this.media.isClosed) return;
    if (!this.#awaitingAnswer || (offerId !== 0 && offerId !== this.#offerId)) {
      log.warn(`answer ${offerId} answers no offer: the last one was ${this.#offerId}`);
      return;
    }
    try {
      const sections = parseSdp(answer.sdp);
      const { sdp, candidates } = takeCandidates(answer.sdp);
      this.media.pc.setRemoteDescription({ ...answer, sdp });
      for (const candidate of candidates) this.media.addCandidate(candidate);
      for (const section of sections) {
        const published = this.#sections.get(section.mid);
        if (published) published.answered = section;
      }
    } catch (error) {
      log.error(`the answer of the server is not usable: ${describeError(error)}`);
      this.#options.onFailure(
        new OffhookError('OFFHOOK_TRANSPORT', 'the answer of the server is not usable', { cause: error }),
      );
      return;
    }
    this.#awaitingAnswer = false;
    this.media.agreed();
    if (this.#changed) this.negotiate();
  }

  async #offer(options: { iceRestart?: boolean } = {}): Promise<void> {
    if (this.media.isClosed) return;
    this.#changed = false;
    try {
      const offer = await this.media.pc.createOffer(options);
      if (this.media.isClosed) return;
      this.media.stages.begin('ice');
      this.#offerId++;
      this.#options.sendOffer(offer, this.#offerId);
    } catch (cause) {
      if (options.iceRestart && cause instanceof OffhookError && cause.code === 'OFFHOOK_NOT_SUPPORTED') {
        await this.#offer();
        return;
      }
      this.#options.onFailure(
        new OffhookError('OFFHOOK_TRANSPORT', `no offer could be made: ${describeError(cause)}`, { cause }),
      );
    }
  }
}
