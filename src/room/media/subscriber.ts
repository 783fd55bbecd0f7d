import { describeError, OffhookError } from '../../errors/index.js';
import { createLogger } from '../../logging/index.js';
import { TransportFeedbackRecorder } from '../../rtp/index.js';
import {
  type DataChannel,
  extensionUris,
  isSending,
  type MediaSection,
  type MediaTrack,
  ssrcsOf,
} from '../../transport/index.js';
import { MediaConnection, type MediaConnectionOptions } from './media-connection.js';

const log = createLogger('room/subscriber');
/** Under which the server is told which packets came: any that is no stream's. */
const feedbackSsrc = 1;

/** A media section that carries a track of somebody, as its msid says. */
export interface OfferedTrack {
  media: MediaTrack;
  section: MediaSection;
  participantSid: string;
  trackSid: string;
  /** Of the connection that it comes over. */
  feedback: TransportFeedbackRecorder;
  /** Of the path that it comes over, in milliseconds; undefined before it was measured. */
  roundTripMs: () => number | undefined;
}

export interface SubscriberOptions extends MediaConnectionOptions {
  sendAnswer: (sdp: string, offerId: number) => void;
  /** The tracks that the server sends now, all of them. */
  onTracks: (tracks: readonly OfferedTrack[]) => void;
  onDataChannel: (channel: DataChannel) => void;
}

/** The peer connection over which the server sends: it offers, we answer. */
export class Subscriber {
  readonly media: MediaConnection;
  #options: SubscriberOptions;
  /** By MID. A section may carry another track later. */
  #tracks = new Map<string, OfferedTrack>();
  #offer: string | undefined;
  #answer: string | undefined;
  #feedback = new TransportFeedbackRecorder(feedbackSsrc);

  constructor(options: SubscriberOptions) {
    this.#options = options;
    this.media = new MediaConnection('subscriber', options);
    const { pc, stages } = this.media;
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
      this.#takeTracks(sections);
    } catch (error) {
      log
        .about(this.#options.timeline.subject)
        .error(`an offer of the server could not be answered: ${describeError(error)}`);
      // Any other changes nothing: what was agreed before holds, and the server asks again or gives us up.
      if (error instanceof OffhookError && error.code === 'OFFHOOK_NOT_SUPPORTED')
        this.#options.onFailure(error);
    }
  }

  #takeTracks(sections: readonly MediaSection[]): void {
    const tracks = new Map<string, OfferedTrack>();
    for (const section of sections) {
      const ids = trackIds(section);
      if (section.kind === 'application' || section.rejected || !isSending(section.direction) || !ids)
        continue;
      const { mid, kind } = section;
      const known = this.#tracks.get(mid);
      const isSame = known?.trackSid === ids.trackSid && known.media.kind === kind;
      if (!isSame) known?.media.close();
      const media = isSame ? known.media : this.media.pc.addTrack({ mid, kind });
      media.listenTo(ssrcsOf(section));
      const roundTripMs = () => this.media.pc.rttMs;
      tracks.set(mid, { media, section, feedback: this.#feedback, roundTripMs, ...ids });
    }
    for (const [mid, { media }] of this.#tracks) if (!tracks.has(mid)) media.close();
    this.#tracks = tracks;
    this.#options.onTracks([...tracks.values()]);
  }
}

/** What the receiver of a track does for its sender, by kind: asks again for packets, and for key frames. */
const feedback: Record<'audio' | 'video', readonly string[]> = {
  audio: [],
  video: ['nack', 'nack pli', 'transport-cc'],
};
const extensions: Record<'audio' | 'video', readonly string[]> = {
  audio: [],
  video: [extensionUris.videoOrientation, extensionUris.transportSequence],
};

/** We take whatever is offered, and send nothing: the server offers to send and receive what it only sends. */
function answerTo(offered: MediaSection): MediaSection {
  const { kind, mid, direction, codecs } = offered;
  if (kind === 'application') return { ...offered, extensions: [] };
  return {
    kind,
    mid,
    direction: isSending(direction) ? 'recvonly' : 'inactive',
    codecs: codecs
      .filter(({ name }) => name !== '')
      .map((codec) => ({
        ...codec,
        feedback: codec.feedback.filter((wanted) => feedback[kind].includes(wanted)),
      })),
    extensions: offered.extensions.filter(({ uri }) => extensions[kind].includes(uri)),
    ...(offered.rejected || codecs.length === 0 ? { rejected: true } : {}),
  };
}

/** LiveKit's stream ids are `participantSid|trackSid`, older ones have the track's sid as the track id. */
function trackIds({ msid }: MediaSection): { participantSid: string; trackSid: string } | undefined {
  const { streamId = '', trackId = '' } = msid ?? {};
  const [participantSid = '', streamTrack = ''] = streamId.split('|');
  const trackSid = streamTrack.startsWith('TR') ? streamTrack : trackId;
  if (!participantSid.startsWith('PA') || !trackSid.startsWith('TR')) return undefined;
  return { participantSid, trackSid };
}
