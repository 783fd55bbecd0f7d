export {
  AudioTrackFeature,
  ChatMessage,
  ConnectionQuality,
  DataStream_OperationType as DataStreamOperationType,
  DisconnectReason,
  ParticipantInfo_Kind as ParticipantKind,
  ParticipantInfo_State as ParticipantState,
  ParticipantPermission,
  TrackSource,
  TrackType,
  TranscriptionSegment,
  VideoQuality,
} from '@livekit/protocol';
export {
  type AudioFrame,
  type AudioReceiverStats,
  type AudioSenderStats,
  AudioSource,
  type AudioSourceOptions,
  type AudioStream,
  type FrameFilter,
  Resampler,
  type ResamplerOptions,
} from './audio/index.js';
export {
  type ByteStreamInfo,
  type ByteStreamOptions,
  type ByteStreamReader,
  type ByteStreamWriter,
  type PerformRpcOptions,
  RpcError,
  type RpcHandler,
  type RpcInvocation,
  rpcErrorCodes,
  type TextStreamInfo,
  type TextStreamOptions,
  type TextStreamReader,
  type TextStreamWriter,
} from './data/index.js';
export * from './room/index.js';
export * from './timeline/index.js';
