export type { ConnectionState } from './connection/connection-state.js';
export type { EncryptionOptions, RoomEncryption, TrackCryptor } from './encryption.js';
export type { DataEvent, EncryptionEvent, RoomEvent, StateEvent } from './events.js';
export type { ParticipantInfo, RoomInfo, Speaker, TrackPublicationInfo } from './info.js';
export { LocalAudioTrack } from './local-audio-track.js';
export { LocalParticipant } from './local-participant.js';
export { LocalTrackPublication } from './local-track-publication.js';
export { LocalVideoTrack } from './local-video-track.js';
export type {
  ConnectOptions,
  ParticipantTrackPermission,
  PublishAudioOptions,
  PublishDataOptions,
  PublishVideoOptions,
  RoomFilter,
  RoomFilters,
  RoomOptions,
  StreamFilter,
  StreamInfo,
} from './options.js';
export { Participant } from './participant.js';
export { RemoteAudioTrack, type TrackStreamOptions } from './remote-audio-track.js';
export { RemoteParticipant } from './remote-participant.js';
export { RemoteTrack } from './remote-track.js';
export { RemoteTrackPublication } from './remote-track-publication.js';
export { RemoteVideoTrack } from './remote-video-track.js';
export { Room, type SimulatedScenario } from './room.js';
export type { RoomStats, TransportStats } from './stats.js';
export { TrackPublication } from './track-publication.js';
