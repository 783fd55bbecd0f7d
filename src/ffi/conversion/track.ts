import { randomBytes } from 'node:crypto';
import { TrackType } from '@livekit/protocol';
import type {
  TrackPublicationInfo as FfiTrackPublicationInfo,
  TrackInfo,
} from '@livekit/rtc-ffi-bindings/proto/track_pb.js';
import {
  LocalAudioTrack,
  type LocalVideoTrack,
  type RemoteTrack,
  type TrackPublicationInfo,
} from '../../room/index.js';
import type { InitOf } from '../messages.js';
import { StreamState, TrackKind } from '../protocol.js';

function toFfiTrackKind(kind: TrackType): TrackKind {
  if (kind === TrackType.AUDIO) return TrackKind.KIND_AUDIO;
  return kind === TrackType.VIDEO ? TrackKind.KIND_VIDEO : TrackKind.KIND_UNKNOWN;
}

export function toFfiPublication(
  info: TrackPublicationInfo,
  remote: boolean,
): InitOf<FfiTrackPublicationInfo> {
  return {
    sid: info.sid,
    name: info.name,
    kind: toFfiTrackKind(info.kind),
    source: info.source as number,
    simulcasted: info.simulcasted,
    width: info.width,
    height: info.height,
    mimeType: info.mimeType,
    muted: info.muted,
    remote,
    encryptionType: info.encryption as number,
    audioFeatures: info.audioFeatures.map((feature) => feature as number),
    frameMetadataFeatures: info.frameMetadata.map((feature) => feature as number),
  };
}

export function toFfiRemoteTrack(track: RemoteTrack): InitOf<TrackInfo> {
  return {
    sid: track.sid,
    name: track.name,
    kind: toFfiTrackKind(track.kind),
    streamState: StreamState.STATE_ACTIVE,
    muted: track.muted,
    remote: true,
  };
}

/** A track that is not published has no sid of the server's; programs still expect one. */
export function toFfiLocalTrack(track: LocalAudioTrack | LocalVideoTrack): InitOf<TrackInfo> {
  return {
    sid: track.sid ?? `TR_${randomBytes(6).toString('hex')}`,
    name: track.name,
    kind: track instanceof LocalAudioTrack ? TrackKind.KIND_AUDIO : TrackKind.KIND_VIDEO,
    streamState: StreamState.STATE_ACTIVE,
    muted: track.muted,
    remote: false,
  };
}
