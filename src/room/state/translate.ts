import type {
  ParticipantInfo as ParticipantMessage,
  Room as RoomMessage,
  TrackInfo as TrackMessage,
} from '@livekit/protocol';
import type { ParticipantInfo, RoomInfo, TrackPublicationInfo } from '../info.js';

export function toRoomInfo(room: RoomMessage | undefined): RoomInfo {
  return {
    sid: room?.sid ?? '',
    name: room?.name ?? '',
    metadata: room?.metadata ?? '',
    emptyTimeoutSeconds: room?.emptyTimeout ?? 0,
    departureTimeoutSeconds: room?.departureTimeout ?? 0,
    maxParticipants: room?.maxParticipants ?? 0,
    createdAtMs: Number(room?.creationTimeMs || (room?.creationTime ?? 0n) * 1000n),
    numParticipants: room?.numParticipants ?? 0,
    numPublishers: room?.numPublishers ?? 0,
    activeRecording: room?.activeRecording ?? false,
  };
}

export function toParticipantInfo(participant: ParticipantMessage): ParticipantInfo {
  return {
    sid: participant.sid,
    identity: participant.identity,
    name: participant.name,
    state: participant.state,
    metadata: participant.metadata,
    attributes: participant.attributes,
    kind: participant.kind,
    kindDetails: participant.kindDetails,
    disconnectReason: participant.disconnectReason,
    joinedAtMs: Number(participant.joinedAtMs || participant.joinedAt * 1000n),
    permission: participant.permission,
    clientProtocol: participant.clientProtocol,
    capabilities: participant.capabilities,
  };
}

export function toPublicationInfo(track: TrackMessage): TrackPublicationInfo {
  return {
    sid: track.sid,
    name: track.name,
    kind: track.type,
    source: track.source,
    muted: track.muted,
    mimeType: track.mimeType,
    simulcasted: track.simulcast || track.layers.length > 1,
    width: track.width,
    height: track.height,
    encryption: track.encryption,
    stream: track.stream,
    audioFeatures: track.audioFeatures,
    frameMetadata: track.packetTrailerFeatures,
  };
}
