import { createLogger, describeError, OffhookError } from '../../timeline/index.js';
import {
  type DataChannel,
  type MediaTrack,
  parseSdp,
  type SdpMedia,
  type SessionDescription,
} from '../../transport/index.js';
import { takeCandidates } from './candidate-feed.js';
import { MediaConnection, type MediaConnectionOptions } from './media-connection.js';

const log = createLogger('room/subscriber');
/**
 * The server takes our answer and our candidates first, and then our check: one that comes sooner is dropped, or makes it
 * wait for a better candidate. Where the way to it is longer than this, our check leaves before the server's arrives.
 */
const answerTravelMs = 5;

/** A media section that carries a track of somebody, as its msid says. */
export interface OfferedTrack {
  media: MediaTrack;
  section: SdpMedia;
  participantSid: string;
  trackSid: string;
}

export interface SubscriberOptions extends MediaConnectionOptions {
  sendAnswer: (answer: SessionDescription, offerId: number) => void;
  /** The tracks that the server sends now, all of them. */
  onTracks: (tracks: readonly OfferedTrack[]) => void;
  onDataChannel: (channel: DataChannel) => void;
}

/** The peer connection over which the server sends: it offers, we answer. */
export class Subscriber {
  readonly media: MediaConnection;
  #options: SubscriberOptions;
  #tracks = new Map<string, MediaTrack>();
  #sections: readonly SdpMedia[] = [];
  #offers: Promise<void> = Promise.resolve();
  #offer: SessionDescription | undefined;
  #answer: SessionDescription | undefined;

  constructor(options: SubscriberOptions) {
    this.#options = options;
    this.media = new MediaConnection('subscriber', options);
    const { pc, stages } = this.media;
    this.media.onConnected = () => stages.succeed(this.media.pair);
    pc.onTrack = (track) => {
      this.#tracks.set(track.mid, track);
      this.#tellTracks();
    };
    pc.onDataChannel = options.onDataChannel;
  }

  /** What was last agreed with the server, for resuming the session. */
  get descriptions(): { offer: SessionDescription | undefined; answer: SessionDescription | undefined } {
    return { offer: this.#offer, answer: this.#answer };
  }

  /** Answers an offer, after those before it. */
  handleOffer(offer: SessionDescription, offerId: number): void {
    this.#offers = this.#offers
      .then(() => this.#answerOffer(offer, offerId))
      .catch((error: unknown) => {
        if (this.media.isClosed) return;
        log.error(`an offer of the server could not be answered: ${describeError(error)}`);
        // Any other is as if it had not come: what was agreed before holds, and the server asks again or gives us up.
        if (error instanceof OffhookError && error.code === 'OFFHOOK_NOT_SUPPORTED')
          this.#options.onFailure(error);
      });
  }

  async #answerOffer(offer: SessionDescription, offerId: number): Promise<void> {
    if (this.media.isClosed) return;
    const sections = parseSdp(offer.sdp);
    const { sdp, candidates } = takeCandidates(offer.sdp);
    for (const candidate of candidates) this.media.addCandidate(candidate);
    this.media.pc.setRemoteDescription({ type: 'offer', sdp: asDtlsClient(asReceiveOnly(sdp)) });
    const answer = await this.media.pc.createAnswer();
    if (this.media.isClosed) return;
    this.media.stages.begin('ice');
    this.#offer = offer;
    this.#answer = answer;
    this.#options.sendAnswer(answer, offerId);
    this.media.agreed(answerTravelMs);
    this.#sections = sections;
    this.#tellTracks();
  }

  /** The media sections and their tracks come in any order. */
  #tellTracks(): void {
    const offered: OfferedTrack[] = [];
    for (const section of this.#sections) {
      if (section.kind === 'application' || !section.streamId) continue;
      if (section.direction !== 'sendonly' && section.direction !== 'sendrecv') continue;
      const media = this.#tracks.get(section.mid);
      const ids = trackIds(section);
      if (media && ids) offered.push({ media, section, ...ids });
      else log.debug(`media section ${section.mid} (${section.streamId}) carries no track yet`);
    }
    this.#options.onTracks(offered);
  }
}

/**
 * The server begins DTLS, whose role is then that of the client: as the other side it would ask for a cookie first, once,
 * and wait for ever where that question is lost (pion/dtls, HelloVerifyRequest).
 */
function asDtlsClient(sdp: string): string {
  return sdp.replaceAll('a=setup:actpass', 'a=setup:active');
}

/** The server offers to send and receive what it only sends; an answer to that would promise media of ours. */
function asReceiveOnly(sdp: string): string {
  const [session = '', ...sections] = sdp.split(/^(?=m=)/m);
  const receiving = sections.map((section) =>
    section.startsWith('m=application') ? section : section.replace(/^a=sendrecv/m, 'a=sendonly'),
  );
  return [session, ...receiving].join('');
}

/** LiveKit's stream ids are `participantSid|trackSid`, older ones have the track's sid as the track id. */
function trackIds({
  streamId = '',
  trackId = '',
}: SdpMedia): { participantSid: string; trackSid: string } | undefined {
  const [participantSid = '', streamTrack = ''] = streamId.split('|');
  const trackSid = streamTrack.startsWith('TR') ? streamTrack : trackId;
  if (!participantSid.startsWith('PA') || !trackSid.startsWith('TR')) return undefined;
  return { participantSid, trackSid };
}
