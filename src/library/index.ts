export {
  type AudioFrame,
  AudioSource,
  type AudioSourceOptions,
  AudioStream,
  type AudioStreamOptions,
  type FrameFilter,
} from './audio.js';
export { AudioProcessing, type AudioProcessingOptions } from './audio-processing.js';
export {
  type ByteStreamInfo,
  type ByteStreamOptions,
  ByteStreamReader,
  ByteStreamWriter,
  type StreamInfo,
  type StreamOptions,
  StreamReader,
  type TextStreamInfo,
  type TextStreamOptions,
  TextStreamReader,
  TextStreamWriter,
} from './data-streams.js';
export {
  type DataFrameEncoding,
  type DataSchemaEncoding,
  type DataTrackFrame,
  type DataTrackInfo,
  type DataTrackSchema,
  DataTrackStream,
  type DataTrackStreamOptions,
  LocalDataTrack,
  type PublishDataTrackOptions,
  RemoteDataTrack,
} from './data-tracks.js';
export type { EventHandler, NamedEvent } from './emitter.js';
export {
  type EncodedVideoFrame,
  EncodedVideoSource,
  type EncodedVideoSourceOptions,
  type EncoderFeedback,
} from './encoded-video.js';
export {
  type EncryptedTrack,
  type EncryptionOptions,
  type EncryptionState,
  type KeyDerivation,
  RoomEncryption,
} from './encryption.js';
export type { RoomEvents } from './events.js';
export { type NativeFilter, registerAudioFilter, type ScriptFilter } from './filters.js';
export { FrameStream } from './inbox.js';
export {
  LocalParticipant,
  type ParticipantTrackPermission,
  type PerformRpcOptions,
  type PublishAudioOptions,
  type PublishDataOptions,
  type PublishVideoOptions,
  type RpcHandler,
  type RpcInvocation,
  type TranscriptionSegment,
} from './local-participant.js';
export { setLogSink } from './logging.js';
export {
  Participant,
  type ParticipantInfo,
  type ParticipantPermission,
  RemoteParticipant,
} from './participant.js';
export {
  type ByteStreamHandler,
  type ConnectionState,
  type ConnectOptions,
  type IceServer,
  Room,
  type RoomClosed,
  type RoomInfo,
  type RoomOptions,
  type SimulatedScenario,
  type TextStreamHandler,
} from './room.js';
export {
  LocalAudioTrack,
  LocalTrack,
  LocalTrackPublication,
  LocalVideoTrack,
  RemoteAudioTrack,
  RemoteTrack,
  RemoteTrackPublication,
  RemoteVideoTrack,
  TrackPublication,
  type TrackPublicationInfo,
  type VideoQuality,
} from './tracks.js';
export type {
  ConnectionQuality,
  DisconnectReason,
  ParticipantKind,
  ParticipantState,
  TrackKind,
  TrackSource,
} from './values.js';
export {
  convertVideoFrame,
  type VideoCodec,
  type VideoFormat,
  type VideoFrame,
  type VideoRotation,
  VideoSource,
  type VideoSourceOptions,
  VideoStream,
  type VideoStreamOptions,
} from './video.js';
