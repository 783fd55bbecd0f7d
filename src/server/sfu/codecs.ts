import type { AddTrackRequest } from '@livekit/protocol';
import { type Codec, extensionUris, type MediaSection } from '../../transport/index.js';
import { limits } from '../limits.js';

export type { Codec };

/** Header extensions that publishers may use: what the server reads, and what it passes on. */
export const publisherExtensions: Record<'audio' | 'video', readonly string[]> = {
  audio: [extensionUris.mid, extensionUris.audioLevel, extensionUris.absoluteCaptureTime],
  video: Object.values(extensionUris).filter((uri) => uri !== extensionUris.audioLevel),
};

/**
 * What subscribers are offered. MID and RID are read of publishers only, and each connection has its own count of packets.
 * The time at which a packet left its publisher (abs-send-time) says nothing of the way to a subscriber.
 */
export const offeredExtensions: Record<'audio' | 'video', readonly { id: number; uri: string }[]> = {
  audio: [
    { id: 1, uri: extensionUris.audioLevel },
    { id: 6, uri: extensionUris.absoluteCaptureTime },
  ],
  video: [
    { id: 2, uri: extensionUris.videoOrientation },
    { id: 3, uri: extensionUris.playoutDelay },
    { id: 4, uri: extensionUris.dependencyDescriptor },
    { id: 5, uri: extensionUris.transportSequence },
    { id: 6, uri: extensionUris.absoluteCaptureTime },
  ],
};

const videoNames = ['vp8', 'h264', 'vp9', 'av1'];

/** The codec in which a publisher would send a track, of those that can be forwarded; VP8 in place of others. */
export function wishedVideoCodec({ simulcastCodecs: [wished] }: AddTrackRequest): string | undefined {
  if (!wished) return undefined;
  const name = wished.codec.replace(/^video\//i, '').toLowerCase();
  return videoNames.includes(name) ? name : 'vp8';
}
const audioFeedback = ['nack'];
const videoFeedback = ['nack', 'nack pli', 'goog-remb', 'transport-cc'];

export const isRed = (codec: Codec): boolean => codec.name.toLowerCase() === 'red';
export const isOpus = (codec: Codec): boolean => codec.name.toLowerCase() === 'opus';

/** The codecs of a section that the server can forward, in the section's order of preference. */
export function forwardableCodecs(section: MediaSection): Codec[] {
  const names = section.kind === 'audio' ? ['opus', 'red'] : videoNames;
  const wanted = section.kind === 'audio' ? audioFeedback : videoFeedback;
  const known = new Map<number, Codec>();
  for (const codec of section.codecs) {
    if (known.size === limits.codecsPerSection.value) break;
    if (known.has(codec.payloadType) || !names.includes(codec.name.toLowerCase())) continue;
    if (codec.parameters.length > limits.codecParametersBytes.value) continue;
    const feedback = wanted.filter((kind) => codec.feedback.includes(kind));
    known.set(codec.payloadType, { ...codec, feedback });
  }
  return [...known.values()];
}

const opus: Codec = {
  payloadType: 111,
  name: 'opus',
  clockRate: 48_000,
  channels: 2,
  parameters: 'minptime=10;useinbandfec=1',
  feedback: ['nack'],
};
const red: Codec = {
  payloadType: 63,
  name: 'red',
  clockRate: 48_000,
  channels: 2,
  parameters: `${opus.payloadType}/${opus.payloadType}`,
  feedback: [],
};

/** One codec of an offer to a subscriber, and the publisher's that it stands for. */
export interface OfferedCodec extends Codec {
  publisherPayloadType: number;
}

/** What subscribers are offered for a track that its publisher sends as `codecs`, the preferred first. */
export function subscriberCodecs(
  kind: 'audio' | 'video',
  codecs: readonly Codec[],
  stereo: boolean,
): OfferedCodec[] {
  const publisherPayloadType = (codec: Codec | undefined) => codec?.payloadType ?? -1;
  if (kind === 'video') {
    return codecs.map((codec, index) => ({
      ...codec,
      payloadType: 96 + index,
      feedback: ['nack', 'nack pli', 'transport-cc'],
      publisherPayloadType: publisherPayloadType(codec),
    }));
  }
  const parameters = stereo ? `${opus.parameters};stereo=1;sprop-stereo=1` : opus.parameters;
  const plain = { ...opus, parameters, publisherPayloadType: publisherPayloadType(codecs.find(isOpus)) };
  const redundant = codecs.find(isRed);
  return redundant ? [{ ...red, publisherPayloadType: redundant.payloadType }, plain] : [plain];
}

/** Profile 0 of VP9 and AV1, which is meant where none is named. */
const defaultProfiles = ['profile-id=0', 'profile=0'];
const formatParameters = /(?:profile-level-id|packetization-mode|profile-id|profile)=[^;]+/g;

/** Those of a receiver's codecs in which a publisher's packets can be passed on, with its payload types. */
export function codecsFor(published: readonly Codec[], receivable: readonly Codec[]): OfferedCodec[] {
  const format = ({ name, parameters }: Codec) =>
    [name.toLowerCase(), ...(name.toLowerCase() === 'red' ? [] : (parameters.match(formatParameters) ?? []))]
      .filter((part) => !defaultProfiles.includes(part))
      .sort()
      .join();
  return receivable.flatMap((codec) => {
    const match = published.find((candidate) => format(candidate) === format(codec));
    return match ? [{ ...codec, publisherPayloadType: match.payloadType }] : [];
  });
}

/** What a section that carries no track lists: one codec, for it must not be empty. */
export const idleCodecs: Record<'audio' | 'video', readonly Codec[]> = {
  audio: [opus],
  video: [{ payloadType: 96, name: 'VP8', clockRate: 90_000, parameters: '', feedback: [] }],
};
