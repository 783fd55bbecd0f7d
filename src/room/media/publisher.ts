import {
  createLogger,
  type Deadlines,
  describeError,
  OffhookError,
  type Timeline,
} from '../../timeline/index.js';
import {
  type AudioTrackOptions,
  type CandidatePair,
  type DataChannel,
  type IceCandidate,
  type IceServer,
  type MediaTrack,
  PeerConnection,
  type PeerConnectionState,
  parseSdp,
  type SdpMedia,
  type SessionDescription,
} from '../../transport/index.js';
import { CandidateFeed, takeCandidates } from './candidate-feed.js';
import { LocalCandidates } from './local-candidates.js';
import { MediaStages } from './media-stages.js';

const log = createLogger('room/publisher');

export interface PublisherOptions {
  timeline: Timeline;
  deadlines: Deadlines;
  iceServers: readonly IceServer[];
  iceTransportPolicy: 'all' | 'relay';
  sendOffer: (offer: SessionDescription, offerId: number) => void;
  sendCandidate: (candidate: IceCandidate) => void;
  onStateChange: (state: PeerConnectionState) => void;
  /** Nothing answers on its path any more. */
  onSilent: () => void;
  onFailure: (error: OffhookError) => void;
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
  readonly reliable: DataChannel;
  readonly lossy: DataChannel;
  #options: PublisherOptions;
  #pc: PeerConnection;
  #stages: MediaStages;
  #candidates: CandidateFeed;
  #localCandidates: LocalCandidates;
  #sections = new Map<string, PublishedSection>();
  #lastMid = 0;
  #offerId = 0;
  /** Something changed that no offer has told the server yet. */
  #changed = false;
  #awaitingAnswer = false;
  #closed = false;

  constructor(options: PublisherOptions) {
    this.#options = options;
    const { timeline, deadlines, onFailure } = options;
    this.#pc = new PeerConnection({
      name: 'publisher',
      iceServers: options.iceServers,
      iceTransportPolicy: options.iceTransportPolicy,
      bridged: true,
    });
    this.#localCandidates = new LocalCandidates(options.sendCandidate, { hold: true });
    this.#candidates = new CandidateFeed(
      (candidate) => this.#pc.addIceCandidate(candidate),
      () => this.#localCandidates.checking(),
    );
    this.#stages = new MediaStages({ timeline, deadlines, role: 'publisher', onOverrun: onFailure });
    this.#pc.onLocalCandidate = (candidate) => this.#localCandidates.gathered(candidate);
    this.#pc.onIceStateChange = (state) => {
      if (state === 'connected' || state === 'completed') this.#stages.begin('dtls', this.pair);
    };
    this.#pc.onSilent = options.onSilent;
    this.#pc.onStateChange = (state) => this.#onStateChange(state);
    this.lossy = this.#pc.createDataChannel('_lossy', { ordered: true, maxRetransmits: 0 });
    this.reliable = this.#pc.createDataChannel('_reliable', { ordered: true });
  }

  get state(): PeerConnectionState {
    return this.#pc.state;
  }

  get pair(): CandidatePair | undefined {
    return this.#pc.selectedCandidatePair();
  }

  get connection(): PeerConnection {
    return this.#pc;
  }

  /** Whether there is a track on which the server reports. */
  get isSending(): boolean {
    return this.#sections.size > 0;
  }

  /** The data channels are open: everything that goes over this connection can go. */
  dataIsOpen(): void {
    this.#stages.succeed(this.pair);
  }

  /** Adds a sending media section; `negotiate` tells the server of it. */
  addAudioTrack(options: Omit<AudioTrackOptions, 'mid' | 'direction'>): PublishedSection {
    this.#lastMid++;
    const mid = String(this.#lastMid);
    const section: PublishedSection = {
      media: this.#pc.addAudioTrack({ ...options, mid, direction: 'sendonly' }),
      ssrc: options.ssrc,
      answered: undefined,
    };
    this.#sections.set(mid, section);
    return section;
  }

  removeTrack({ media }: PublishedSection): void {
    this.#sections.delete(media.mid);
    if (!this.#closed) media.close();
  }

  /** Offers what there is now. While an answer is awaited, once it has come. */
  negotiate(): void {
    this.#changed = true;
    if (this.#awaitingAnswer || this.#closed) return;
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
    if (this.#closed) return;
    if (!this.#awaitingAnswer || (offerId !== 0 && offerId !== this.#offerId)) {
      log.warn(`answer ${offerId} answers no offer: the last one was ${this.#offerId}`);
      return;
    }
    try {
      const sections = parseSdp(answer.sdp);
      const { sdp, candidates } = takeCandidates(answer.sdp);
      this.#pc.setRemoteDescription({ ...answer, sdp });
      for (const candidate of candidates) this.addCandidate(candidate);
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
    this.#candidates.ready();
    this.#localCandidates.agreed();
    if (this.#changed) this.negotiate();
  }

  addCandidate(candidate: IceCandidate): void {
    this.#localCandidates.remote(candidate);
    this.#candidates.push(candidate);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stages.stop('abandoned');
    this.#candidates.close();
    this.#localCandidates.close();
    this.#pc.close();
  }

  async #offer(options: { iceRestart?: boolean } = {}): Promise<void> {
    if (this.#closed) return;
    this.#changed = false;
    try {
      const offer = await this.#pc.createOffer(options);
      if (this.#closed) return;
      this.#stages.begin('ice');
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

  #onStateChange(state: PeerConnectionState): void {
    if (state === 'connected') this.#stages.begin('data', this.pair);
    if (state === 'failed') {
      const stage = this.#stages.stage ?? 'ice';
      this.#stages.stop('failed');
      this.#options.onFailure(
        new OffhookError('OFFHOOK_TRANSPORT', 'the publisher connection failed', { stage }),
      );
    }
    this.#options.onStateChange(state);
  }
}
