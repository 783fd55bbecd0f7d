export type Direction = 'sendrecv' | 'sendonly' | 'recvonly' | 'inactive';

/** One way to encode a track, as a media section lists it. */
export interface Codec {
  payloadType: number;
  /** Encoding name as written: `opus`, `VP8`. */
  name: string;
  clockRate: number;
  channels?: number;
  /** Text of `a=fmtp`, empty without one. */
  parameters: string;
  /** `a=rtcp-fb`, e.g. `nack pli`. */
  feedback: string[];
}

/** One stream of a section (RFC 5576). */
export interface Source {
  ssrc: number;
  cname: string;
  /** SSRC of its retransmissions (RFC 4588). */
  repairSsrc?: number;
}

/** One `m=` section of a session description (RFC 8829): data, of which the peer connection makes the text. */
export interface MediaSection {
  kind: 'audio' | 'video' | 'application';
  mid: string;
  direction: Direction;
  /** The preferred one first. */
  codecs: readonly Codec[];
  extensions: readonly { id: number; uri: string }[];
  /** A rejected section has port 0 and is in no bundle. */
  rejected?: boolean;
  /** `a=msid` (RFC 8830) of a section that sends; LiveKit matches the track id with AddTrackRequest.cid. */
  msid?: { streamId: string; trackId: string };
  /** In the order in which they appear; none for simulcast by RID. */
  sources?: readonly Source[];
  /** Streams of a simulcast (RFC 8853), in order. */
  rids?: readonly { id: string; direction: 'send' | 'recv' }[];
  /** The longest message that an application section takes (RFC 8841); 0 stands for any length. */
  maxMessageBytes?: number;
}

/** The one that every WebRTC peer uses (RFC 8841, section 5.2, leaves the choice). */
export const sctpPort = 5_000;
/** The longest message that we take, as Chromium. */
export const maxMessageBytes = 262_144;

export const isSending = (direction: Direction) => direction === 'sendonly' || direction === 'sendrecv';
export const isReceiving = (direction: Direction) => direction === 'recvonly' || direction === 'sendrecv';

/** All SSRCs of a section, those of retransmissions too. */
export function ssrcsOf({ sources = [] }: Pick<MediaSection, 'sources'>): number[] {
  return sources.flatMap(({ ssrc, repairSsrc }) => (repairSsrc === undefined ? [ssrc] : [ssrc, repairSsrc]));
}

/** The section for data channels. */
export function dataSection(mid: string): MediaSection {
  return { kind: 'application', mid, direction: 'sendrecv', codecs: [], extensions: [], maxMessageBytes };
}

export const extensionUris = {
  mid: 'urn:ietf:params:rtp-hdrext:sdes:mid',
  rid: 'urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id',
  repairedRid: 'urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id',
  videoOrientation: 'urn:3gpp:video-orientation',
  audioLevel: 'urn:ietf:params:rtp-hdrext:ssrc-audio-level',
  playoutDelay: 'http://www.webrtc.org/experiments/rtp-hdrext/playout-delay',
  absoluteCaptureTime: 'http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time',
  dependencyDescriptor:
    'https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension',
  transportSequence: 'http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01',
} as const;
