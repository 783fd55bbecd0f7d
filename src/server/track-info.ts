import {
  type AddTrackRequest,
  AudioTrackFeature,
  PacketTrailerFeature,
  SimulcastCodecInfo,
  TimedVersion,
  TrackInfo,
  TrackType,
} from '@livekit/protocol';
import { enumValues } from './checked-values.js';
import { newSid } from './ids.js';
import { wishedVideoCodec } from './sfu/codecs.js';

/** What others get to know of a track that its publisher announces. Its codec is known from the session description on. */
export function trackInfoOf(request: AddTrackRequest): TrackInfo {
  const audio = request.type === TrackType.AUDIO;
  return new TrackInfo({
    sid: newSid('TR'),
    type: request.type,
    name: request.name,
    muted: request.muted,
    width: request.width,
    height: request.height,
    simulcast: request.layers.length > 1,
    source: request.source,
    layers: request.layers,
    codecs: audio ? [] : videoCodecsOf(request),
    backupCodecPolicy: request.backupCodecPolicy,
    stereo: request.stereo,
    disableDtx: request.disableDtx,
    disableRed: request.disableRed,
    encryption: request.encryption,
    stream: request.stream,
    audioFeatures: audio ? audioFeaturesOf(request) : [],
    packetTrailerFeatures: audio ? [] : enumValues(PacketTrailerFeature, request.packetTrailerFeatures),
    version: new TimedVersion({ unixMicro: BigInt(Date.now()) * 1000n }),
  });
}

/** Clients send in the codec that the answer to their request names; a backup in another codec is not asked of them. */
function videoCodecsOf(request: AddTrackRequest): SimulcastCodecInfo[] {
  const codec = wishedVideoCodec(request);
  if (codec === undefined) return [];
  const { cid, layers } = request;
  return [new SimulcastCodecInfo({ mimeType: `video/${codec.toUpperCase()}`, cid, layers })];
}

function audioFeaturesOf(request: AddTrackRequest): AudioTrackFeature[] {
  const features = new Set(enumValues(AudioTrackFeature, request.audioFeatures));
  if (request.stereo) features.add(AudioTrackFeature.TF_STEREO);
  if (request.disableDtx) features.add(AudioTrackFeature.TF_NO_DTX);
  return [...features];
}
