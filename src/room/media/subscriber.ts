import { describeError, OffhookError } from '../../errors/index.js';
import { createLogger } from '../../logging/index.js';
import type { DataChannel } from '../../transport/index.js';
import { MediaConnection, type MediaConnectionOptions } from './media-connection.js';
import { answerTo, type OfferedTrack, ReceivedSections } from './received-sections.js';

const log = createLogger('room/subscriber');

export interface SubscriberOptions extends MediaConnectionOptions {
  sendAnswer: (sdp: string, offerId: number) => void;
  /** The tracks that the server sends now, all of them. */
  onTracks: (tracks: readonly OfferedTrack[]) => void;
  onDataChannel: (channel: DataChannel) => void;
}

/** The peer connection over which the server sends where there are two: it offers, we answer. */
export class Subscriber {
  readonly media: MediaConnection;
  #options: SubscriberOptions;
  #received: ReceivedSections;
  #offer: string | undefined;
  #answer: string | undefined;

  constructor(options: SubscriberOptions) {
    this.#options = options;
    this.media = new MediaConnection('subscriber', options);
    const { pc, stages } = this.media;
    this.#received = new ReceivedSections(pc, () => this.media.stats());
    this.media.onConnected = () => stages.succeed(this.media.pair);
    pc.onDataChannel = options.onDataChannel;
  }

  /** What was last agreed with the server, for resuming the session. */
  get descriptions(): { offer: string | undefined; answer: string | undefined } {
    return { offer: this.#offer, answer: this.#answer };
  }

  handleOffer(sdp: string, offerId: number): void {
    if (this.media.isClosed) return;
    try {
      const { sections } = this.media.pc.acceptOffer(sdp);
      const answer = this.media.pc.answer(sections.map(answerTo));
      this.media.stages.begin('ice');
      this.#offer = sdp;
      this.#answer = answer;
      this.#options.sendAnswer(answer, offerId);
      this.#options.onTracks(this.#received.take(sections));
    } catch (error) {
      log
        .about(this.#options.timeline.subject)
        .error(`an offer of the server could not be answered: ${describeError(error)}`);
      // Any other changes nothing: what was agreed before holds, and the server asks again or gives us up.
      if (error instanceof OffhookError && error.code === 'OFFHOOK_NOT_SUPPORTED')
        this.#options.onFailure(error);
    }
  }
}
