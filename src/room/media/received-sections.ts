import { TransportFeedbackRecorder } from '../../rtp/index.js';
import {
  type Codec,
  extensionUris,
  isSending,
  type MediaSection,
  type MediaTrack,
  type PeerConnection,
  ssrcsOf,
} from '../../transport/index.js';
import type { TransportStats } from '../stats.js';
import { audioCodecs } from './sent-audio-track.js';
import { videoCodecs } from './sent-video-track.js';

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
  transport: () => TransportStats;
}

/** SSRC of our reports on which packets arrived: any that is no stream's. */
const feedbackSsrc = 1;

/** What the receiver of a track does for its sender, by kind: asks again for packets, and for key frames. */
const feedback: Record<'audio' | 'video', readonly string[]> = {
  audio: [],
  video: ['nack', 'nack pli', 'transport-cc'],
};
const extensions: Record<'audio' | 'video', MediaSection['extensions']> = {
  audio: [],
  video: [
    { id: 3, uri: extensionUris.transportSequence },
    { id: 13, uri: extensionUris.videoOrientation },
  ],
};

/** The sections of a peer connection on which the server sends: which tracks they carry at a time. */
export class ReceivedSections {
  #pc: PeerConnection;
  #transport: () => TransportStats;
  /** By MID. A section may carry another track later. */
  #tracks = new Map<string, OfferedTrack>();
  #feedback = new TransportFeedbackRecorder(feedbackSsrc);

  constructor(pc: PeerConnection, transport: () => TransportStats) {
    this.#pc = pc;
    this.#transport = transport;
  }

  /**
   * Takes the server's sections, all of them.
   *
   * @param trackSids by MID, where the server gives them
   * @returns the tracks that it sends now
   */
  take(
    sections: readonly MediaSection[],
    trackSids: Readonly<Record<string, string>> = {},
  ): readonly OfferedTrack[] {
    const tracks = new Map<string, OfferedTrack>();
    for (const section of sections) {
      const { mid, kind } = section;
      const ids = trackIds(section, trackSids[mid]);
      if (kind === 'application' || section.rejected || !isSending(section.direction) || !ids) continue;
      const known = this.#tracks.get(mid);
      const isSame = known?.trackSid === ids.trackSid && known.media.kind === kind;
      if (!isSame) known?.media.close();
      const media = isSame ? known.media : this.#pc.addTrack({ mid, kind });
      media.listenTo(ssrcsOf(section));
      const roundTripMs = () => this.#pc.rttMs;
      tracks.set(mid, {
        media,
        section,
        feedback: this.#feedback,
        roundTripMs,
        transport: this.#transport,
        ...ids,
      });
    }
    for (const [mid, { media }] of this.#tracks) if (!tracks.has(mid)) media.close();
    this.#tracks = tracks;
    return [...tracks.values()];
  }
}

/** A section of an offer of ours on which the server may send a track. */
export function receivingSection(kind: 'audio' | 'video', mid: string): MediaSection {
  const codecs = kind === 'audio' ? audioCodecs : videoCodecs;
  return {
    kind,
    mid,
    direction: 'recvonly',
    codecs: withOurFeedback(kind, codecs),
    extensions: extensions[kind],
  };
}

/** We take whatever is offered, and send nothing: the server offers to send and receive what it only sends. */
export function answerTo(offered: MediaSection): MediaSection {
  const { kind, mid, direction, codecs } = offered;
  if (kind === 'application') return { ...offered, extensions: [] };
  const named = codecs.filter(({ name }) => name !== '');
  return {
    kind,
    mid,
    direction: isSending(direction) ? 'recvonly' : 'inactive',
    codecs: withOurFeedback(kind, named),
    extensions: offered.extensions.filter(({ uri }) => extensions[kind].some((ours) => ours.uri === uri)),
    ...(offered.rejected || codecs.length === 0 ? { rejected: true } : {}),
  };
}

function withOurFeedback(kind: 'audio' | 'video', codecs: readonly Codec[]): Codec[] {
  return codecs.map((codec) => ({
    ...codec,
    feedback: codec.feedback.filter((wanted) => feedback[kind].includes(wanted)),
  }));
}

/** LiveKit's stream ids are `participantSid|trackSid`, older ones have the track's sid as the track id. */
function trackIds(
  { msid }: MediaSection,
  known: string | undefined,
): { participantSid: string; trackSid: string } | undefined {
  const { streamId = '', trackId = '' } = msid ?? {};
  const [participantSid = '', streamTrack = ''] = streamId.split('|');
  const trackSid = known ?? (streamTrack.startsWith('TR') ? streamTrack : trackId);
  if (!participantSid.startsWith('PA') || !trackSid.startsWith('TR')) return undefined;
  return { participantSid, trackSid };
}
