import { SessionDescription } from '@livekit/protocol';
import { describeError, OffhookError } from '../../errors/index.js';
import { MediaConnection, type MediaConnectionOptions } from './media-connection.js';
import { answerTo } from './received-sections.js';

/** The peer connection over which the server sends where there are two: it offers, we answer. */
export class Subscriber extends MediaConnection {
  constructor(options: MediaConnectionOptions) {
    super('subscriber', options);
  }

  handleOffer(sdp: string, offerId: number): void {
    if (this.isClosed) return;
    const { send, onTracks, onFailure } = this.options;
    try {
      const { sections } = this.pc.acceptOffer(sdp);
      const answer = this.pc.answer(sections.map(answerTo));
      this.stages.begin('ice');
      this.agreed = { offer: sdp, answer };
      const value = new SessionDescription({ type: 'answer', sdp: answer, id: offerId });
      send({ case: 'answer', value });
      onTracks(this.received.take(sections));
    } catch (error) {
      this.log.error(`an offer of the server could not be answered: ${describeError(error)}`);
      // Any other changes nothing: what was agreed before holds, and the server asks again or gives us up.
      if (error instanceof OffhookError && error.code === 'OFFHOOK_NOT_SUPPORTED') onFailure(error);
    }
  }

  protected onConnected(): void {
    this.stages.succeed(this.pc.pair);
  }
}
