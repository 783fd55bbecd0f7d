import type {
  AudioTrackFeature,
  ClientInfo_Capability,
  DisconnectReason,
  Encryption_Type,
  PacketTrailerFeature,
  ParticipantInfo_Kind,
  ParticipantInfo_KindDetail,
  ParticipantInfo_State,
  ParticipantPermission,
  TrackSource,
  TrackType,
} from '@livekit/protocol';

/** What the server says of the room. */
export interface RoomInfo {
  /** Empty until the server has given it. */
  sid: string;
  name: string;
  metadata: string;
  emptyTimeoutSeconds: number;
  departureTimeoutSeconds: number;
  maxParticipants: number;
  /** Milliseconds since 1970. */
  createdAtMs: number;
  numParticipants: number;
  numPublishers: number;
  activeRecording: boolean;
}

/** What the server says of a participant. A snapshot: it does not change. */
export interface ParticipantInfo {
  sid: string;
  identity: string;
  name: string;
  state: ParticipantInfo_State;
  metadata: string;
  attributes: Readonly<Record<string, string>>;
  kind: ParticipantInfo_Kind;
  kindDetails: readonly ParticipantInfo_KindDetail[];
  disconnectReason: DisconnectReason;
  /** Milliseconds since 1970. */
  joinedAtMs: number;
  permission: ParticipantPermission | undefined;
  clientProtocol: number;
  /** What its client can read beyond that. */
  capabilities: readonly ClientInfo_Capability[];
}

/** What the server says of a published track. A snapshot: it does not change. */
export interface TrackPublicationInfo {
  sid: string;
  name: string;
  kind: TrackType;
  source: TrackSource;
  muted: boolean;
  mimeType: string;
  simulcasted: boolean;
  width: number;
  height: number;
  encryption: Encryption_Type;
  /** Name of the stream that the track belongs to, for players that keep tracks in step. */
  stream: string;
  audioFeatures: readonly AudioTrackFeature[];
  /** What the publisher may send along with a frame. */
  frameMetadata: readonly PacketTrailerFeature[];
}

export interface Speaker {
  participantIdentity: string;
  /** 0 to 1. */
  level: number;
}
