import type { MediaDescription, SessionDescription } from 'sdp-transform';
import { type Codec, extensionUris, forwardableCodecs, isOpus, isRed } from './codecs.js';
import type { MediaSection } from './media-section.js';

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
}

const knownUris: readonly string[] = Object.values(extensionUris);

/** Reads the audio and video sections of a publisher's offer. */
export function readOffer(offer: SessionDescription): OfferedMedia[] {
  return offer.media.filter(isAudioOrVideo).map((section) => {
    const { id: streamId = '', appdata: trackId = '' } = section.msid?.[0] ?? {};
    const direction = String(section.direction ?? 'sendrecv');
    return {
      mid: String(section.mid ?? ''),
      kind: section.type as OfferedMedia['kind'],
      sending: direction.startsWith('send') && section.port !== 0,
      receiving: direction === 'recvonly' && section.port !== 0,
      // The parser makes numbers of ids that look like one.
      streamId: String(streamId),
      trackId: String(trackId),
      codecs: forwardableCodecs(section),
      extensions: (section.ext ?? [])
        .filter(({ uri }) => knownUris.includes(uri))
        .map(({ value, uri }) => ({ id: value, uri })),
      ssrcs: mediaSsrcs(section),
      rids: (section.rids ?? []).filter(({ direction }) => direction === 'send').map(({ id }) => String(id)),
    };
  });
}

function isAudioOrVideo({ type }: MediaDescription): boolean {
  return type === 'audio' || type === 'video';
}

function mediaSsrcs({ ssrcs, ssrcGroups }: MediaDescription): number[] {
  const repair = new Set(
    (ssrcGroups ?? [])
      .filter(({ semantics }) => semantics === 'FID' || semantics === 'FEC-FR')
      .flatMap((group) => String(group.ssrcs).split(' ').slice(1).map(Number)),
  );
  const all = new Set((ssrcs ?? []).map(({ id }) => Number(id)));
  return [...all].filter((ssrc) => !repair.has(ssrc));
}

/** The sections of the answer, one for each of the offer's and in its order. */
export function answerSections(
  offer: SessionDescription,
  wishesFor: (mid: string) => TrackWishes | undefined,
): MediaSection[] {
  const media = new Map(readOffer(offer).map((section) => [section.mid, section]));
  return offer.media.map((section) => {
    const mid = String(section.mid ?? '');
    const offered = isAudioOrVideo(section) ? media.get(mid) : undefined;
    if (!offered) {
      const rejected = section.type !== 'application' || section.port === 0;
      return { kind: 'application', mid, direction: 'inactive', codecs: [], extensions: [], rejected };
    }
    const codecs = offered.kind === 'audio' ? audioCodecs(offered.codecs, wishesFor(mid)) : offered.codecs;
    return {
      kind: offered.kind,
      mid,
      direction: offered.sending ? 'recvonly' : 'inactive',
      codecs,
      extensions: offered.extensions,
      ...simulcastOf(offered),
      rejected: section.port === 0 || codecs.length === 0,
    };
  });
}

/** Of a simulcast only the last stream is taken, the best one: everybody gets the same. */
function simulcastOf({ rids }: OfferedMedia): Pick<MediaSection, 'receivedRid'> {
  const best = rids.at(-1);
  return best === undefined ? {} : { receivedRid: best };
}

/** RED first where it is wanted: a sender takes the first codec of the answer. */
function audioCodecs(codecs: readonly Codec[], wishes: TrackWishes | undefined): Codec[] {
  const { red = true, stereo = false, dtx = true } = wishes ?? {};
  const opus = codecs.filter(isOpus).map((codec) => {
    const parameters = new Set(codec.parameters.split(';').filter((parameter) => parameter !== ''));
    if (stereo) parameters.add('stereo=1');
    if (dtx) parameters.add('usedtx=1');
    return { ...codec, parameters: [...parameters].join(';') };
  });
  return red ? [...codecs.filter(isRed), ...opus] : opus;
}
