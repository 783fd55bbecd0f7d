import type { TrackSection } from '../../../room/index.js';
import { statsMessages } from '../../protocol.js';
import { entry, type Stats, type StatsTime, withZeros } from './messages.js';

const { CodecStats, RtpStreamStats } = statsMessages;

/** A track, by the section that carries it. */
export interface CarriedTrack {
  sid: string;
  section: TrackSection | undefined;
}

const codecId = (sid: string) => `codec-${sid}`;

/** What streams in both directions have in common. */
export function rtpStream({ sid, section }: CarriedTrack, kind: 'audio' | 'video', ssrc: number | undefined) {
  const transportId = section?.transport().name ?? '';
  return withZeros(RtpStreamStats, { ssrc: ssrc ?? 0, kind, transportId, codecId: codecId(sid) });
}

/**
 * The codec of a track as its media section describes it. Of audio it is what redundancy (RED) carries, which has a
 * payload type of its own on the wire, as the native engine names it.
 */
export function codecEntry(
  { sid, section }: CarriedTrack,
  kind: 'audio' | 'video',
  payloadType: number | undefined,
  { wallMs }: StatsTime,
): Stats[] {
  const used = section?.codecs.find((codec) => codec.payloadType === payloadType);
  const isRed = used?.name.toLowerCase() === 'red';
  const codec = isRed ? section?.codecs.find(({ name }) => name.toLowerCase() === 'opus') : used;
  if (!section || !codec) return [];
  return [
    entry('codec', codecId(sid), wallMs, {
      codec: withZeros(CodecStats, {
        payloadType: codec.payloadType,
        transportId: section.transport().name,
        mimeType: `${kind}/${codec.name}`,
        clockRate: codec.clockRate,
        channels: codec.channels ?? 0,
        sdpFmtpLine: codec.parameters ?? '',
      }),
    }),
  ];
}
