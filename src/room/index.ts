export type { ConnectionState } from './connection/connection-table.js';
export { leaveSession, type SessionToLeave } from './connection/leave-session.js';
export type { DataTrackInfo } from './data/data-track-info.js';
export { LocalDataTrack, type PublishDataTrackOptions } from './data/local-data-tracks.js';
export {
  DataTrackStream,
  type DataTrackStreamOptions,
  RemoteDataTrack,
} from './data/remote-data-tracks.js';
export type { EncryptionOptions, RoomEncryption, TrackCryptor } from './encryption.js';
export type { DataEvent, DataTrackEvent, EncryptionEvent, RoomEvent, StateEvent } from './events.js';
export type { ParticipantInfo, RoomInfo, Speaker, TrackPublicationInfo } from './info.js';
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
export { LocalParticipant } from './participants/local-participant.js';
export { Participant } from './participants/participant.js';
export { RemoteParticipant } from './participants/remote-participant.js';
export { Room } from './room.js';
export type { SimulatedScenario } from './simulate.js';
export type { RoomStats, TrackSection, TrackStats, TransportStats } from './stats.js';
export { LocalAudioTrack, LocalVideoTrack } from './tracks/local-track.js';
export { LocalTrackPublication } from './tracks/local-track-publication.js';
export { RemoteAudioTrack, type TrackStreamOptions } from './tracks/remote-audio-track.js';
export { RemoteTrack } from './tracks/remote-track.js';
export { RemoteTrackPublication } from './tracks/remote-track-publication.js';
export { RemoteVideoTrack } from './tracks/remote-video-track.js';
export { TrackPublication } from './tracks/track-publication.js';
