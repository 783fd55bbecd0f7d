import {
  dataSection,
  extensionUris,
  isReceiving,
  isSending,
  type MediaSection,
} from '../../transport/index.js';
import { type Codec, forwardableCodecs, isOpus, isRed, publisherExtensions } from './codecs.js';

/** One media section of a publisher's offer. */
export interface OfferedMedia {
  mid: string;
  kind: 'audio' | 'video';
  /** Whether the publisher means to send on it now. */
  sending: boolean;
  /** Whether it would receive on it. */
  receiving: boolean;
  /** The two parts of `a=msid`. */
  streamId: string;
  trackId: string;
  codecs: Codec[];
  extensions: { id: number; uri: string }[];
  /** SSRCs of media, without those of retransmission; empty for simulcast by RID. */
  ssrcs: number[];
  /** RIDs in the order in which they were offered (RFC 8853). */
  rids: string[];
}

/** What the publisher asked for when it added the track. */
interface TrackWishes {
  red: boolean;
  stereo: boolean;
  dtx: boolean;
  /** In lower case. */
  videoCodec: string | undefined;
}

/** Reads the audio and video sections of a publisher's offer. */
export function readOffer(offer: readonly MediaSection[]): OfferedMedia[] {
  const read: OfferedMedia[] = [];
  for (const section of offer) {
    const { mid, kind, direction, rejected = false, msid, sources = [], rids = [] } = section;
    if (kind === 'application') continue;
    read.push({
      mid,
      kind,
      sending: isSending(direction) && !rejected,
      receiving: isReceiving(direction) && !isSending(direction) && !rejected,
      streamId: msid?.streamId ?? '',
      trackId: msid?.trackId ?? '',
      codecs: forwardableCodecs(section),
      extensions: section.extensions.filter(({ uri }) => publisherExtensions[kind].includes(uri)),
      ssrcs: sources.map(({ ssrc }) => ssrc),
      rids: rids.filter((rid) => rid.direction === 'send').map(({ id }) => id),
    });
  }
  return read;
}

/** The sections of the answer, one for each of the offer's and in its order. */
export function answerSections(
  offer: readonly MediaSection[],
  media: readonly OfferedMedia[],
  wishesFor: (section: OfferedMedia) => TrackWishes | undefined,
): MediaSection[] {
  const byMid = new Map(media.map((section) => [section.mid, section]));
  return offer.map((section) => {
    const { mid, rejected = false } = section;
    const offered = byMid.get(mid);
    if (section.kind === 'application' || !offered) return { ...dataSection(mid), rejected };
    const wishes = wishesFor(offered);
    const codecs =
      offered.kind === 'audio' ? audioCodecs(offered.codecs, wishes) : videoCodecs(offered, wishes);
    return {
      kind: offered.kind,
      mid,
      direction: offered.sending ? 'recvonly' : 'inactive',
      codecs,
      extensions: offered.extensions,
      ...simulcastOf(offered),
      rejected: rejected || codecs.length === 0,
    };
  });
}

/** All layers of a simulcast are taken: each subscriber gets the one that it wants, and that its path carries. */
function simulcastOf({ rids }: OfferedMedia): Pick<MediaSection, 'rids'> {
  return rids.length > 0 ? { rids: rids.map((id) => ({ id, direction: 'recv' as const })) } : {};
}

/** The wished codec first, as for audio. How much the publisher may send it finds out by reports on its packets, where it numbers them, and is told otherwise. */
function videoCodecs({ codecs, extensions }: OfferedMedia, wishes: TrackWishes | undefined): Codec[] {
  const isNumbered = extensions.some(({ uri }) => uri === extensionUris.transportSequence);
  const unwanted = isNumbered ? 'goog-remb' : 'transport-cc';
  const isWished = ({ name }: Codec) => name.toLowerCase() === wishes?.videoCodec;
  return [...codecs.filter(isWished), ...codecs.filter((codec) => !isWished(codec))].map((codec) => ({
    ...codec,
    feedback: codec.feedback.filter((kind) => kind !== unwanted),
  }));
}

/** RED first where it is wanted: a sender takes the first codec of the answer. */
function audioCodecs(codecs: readonly Codec[], wishes: TrackWishes | undefined): Codec[] {
  const { red = true, stereo = false, dtx = true }: Partial<TrackWishes> = wishes ?? {};
  const opus = codecs.filter(isOpus).map((codec) => {
    const parameters = new Set(codec.parameters.split(';').filter((parameter) => parameter !== ''));
    if (stereo) parameters.add('stereo=1');
    if (dtx) parameters.add('usedtx=1');
    return { ...codec, parameters: [...parameters].join(';') };
  });
  return red ? [...codecs.filter(isRed), ...opus] : opus;
}
