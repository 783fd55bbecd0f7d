import type { Handler } from './handler.js';
import type { InitOf, RequestCase, ResponseOf } from './messages.js';
import { apmProcessReverseStream, apmProcessStream, apmSetStreamDelay, newApm } from './requests/apm.js';
import { captureAudioFrame, clearAudioBuffer, newAudioSource } from './requests/audio-source.js';
import { audioStreamFromParticipant, newAudioStream } from './requests/audio-stream.js';
import { editChatMessage, sendChatMessage } from './requests/chat.js';
import { connect, disconnect, readyForRoomEvent, simulateScenario } from './requests/connection.js';
import {
  publishData,
  publishSipDtmf,
  publishTranscription,
  setDataChannelBufferedAmountLowThreshold,
} from './requests/data-packet.js';
import {
  dataTrackStreamRead,
  defineSchema,
  getSchema,
  localDataTrackIsPublished,
  localDataTrackTryPush,
  localDataTrackUnpublish,
  publishDataTrack,
  remoteDataTrackIsPublished,
  remoteDataTrackSetPipelineOptions,
  subscribeDataTrack,
} from './requests/data-track.js';
import { dispose } from './requests/dispose.js';
import { e2ee } from './requests/encryption.js';
import { loadAudioFilterPlugin } from './requests/filter.js';
import {
  createAudioTrack,
  createVideoTrack,
  localTrackMute,
  publishTrack,
  setTrackSubscriptionPermissions,
  unpublishTrack,
} from './requests/local-track.js';
import { setLocalAttributes, setLocalMetadata, setLocalName } from './requests/participant.js';
import {
  getAudioDevices,
  newPlatformAudio,
  setPlayoutDevice,
  setRecordingDevice,
  startRecording,
  stopRecording,
} from './requests/platform-audio.js';
import {
  flushSoxResampler,
  newAudioResampler,
  newSoxResampler,
  pushSoxResampler,
  remixAndResample,
} from './requests/resampler.js';
import {
  performRpc,
  registerRpcMethod,
  rpcMethodInvocationResponse,
  unregisterRpcMethod,
} from './requests/rpc.js';
import { getSessionStats, getStats } from './requests/stats.js';
import {
  byteReadAll,
  byteReadIncremental,
  byteWriteToFile,
  textReadAll,
  textReadIncremental,
} from './requests/stream-reader.js';
import {
  byteStreamClose,
  byteStreamOpen,
  byteStreamWrite,
  sendBytes,
  sendFile,
  sendStreamChunk,
  sendStreamHeader,
  sendStreamTrailer,
  sendText,
  textStreamClose,
  textStreamOpen,
  textStreamWrite,
} from './requests/stream-writer.js';
import {
  enableRemoteTrack,
  enableRemoteTrackPublication,
  setRemoteTrackPublicationQuality,
  setSubscribed,
  updateRemoteTrackPublicationDimension,
} from './requests/subscription.js';
import { captureVideoFrame, newVideoSource } from './requests/video-source.js';
import { newVideoStream, videoConvert, videoStreamFromParticipant } from './requests/video-stream.js';

const videoNote = 'VP8, VP9, H.264 and AV1, with the package `@napi-rs/webcodecs` installed beside offhook.';

const noSoundCard = 'Answered as by the native engine on a machine without a sound card: offhook opens none.';

/** `refused`: answered with an error, for the reason that the note gives. */
export type Status = 'works' | 'partly' | 'refused';

export interface RequestRow<Name extends RequestCase> {
  handler: Handler<Name>;
  /** How the response itself says that the request failed; without it, the request throws. */
  failed?: (text: string) => InitOf<ResponseOf<Name>>;
  status: Status;
  /** What differs from the native engine, or is missing. */
  note?: string;
  /** The test that shows it, below test/. */
  test?: string;
}

const inError = (error: string) => ({ error });
const inMessage = (value: string) => ({ message: { case: 'error' as const, value } });
const inSox = (error: string) => ({ outputPtr: 0n, size: 0, error });

/** Every request of the protocol. docs/compatibility.md is generated from it. */
export const requestTable: { readonly [Name in RequestCase]: RequestRow<Name> } = {
  dispose: { handler: dispose, status: 'works', test: 'ffi/requests' },

  connect: {
    handler: connect,
    status: 'works',
    note: 'Encryption with AES-GCM, the only cipher that LiveKit clients have.',
    test: 'ffi/room',
  },
  disconnect: { handler: disconnect, status: 'works', test: 'ffi/room' },
  readyForRoomEvent: { handler: readyForRoomEvent, status: 'works', test: 'ffi/protocol-connect' },
  simulateScenario: {
    handler: simulateScenario,
    status: 'works',
    note: 'Forcing TCP needs a server that offers it (livekit-server), forcing TLS one with TURN over TLS.',
    test: 'ffi/force-transport',
  },

  publishTrack: {
    handler: publishTrack,
    status: 'works',
    note: 'Video in simulcast layers; SVC is sent as simulcast. The protocol has no field for a backup codec.',
    test: 'ffi/audio',
  },
  unpublishTrack: { handler: unpublishTrack, status: 'works', test: 'ffi/audio' },
  createAudioTrack: { handler: createAudioTrack, status: 'works', test: 'ffi/audio' },
  localTrackMute: { handler: localTrackMute, status: 'works', test: 'ffi/protocol-tracks' },
  setTrackSubscriptionPermissions: {
    handler: setTrackSubscriptionPermissions,
    status: 'works',
    test: 'ffi/protocol-tracks',
  },
  setSubscribed: { handler: setSubscribed, status: 'works', test: 'ffi/subscription' },
  enableRemoteTrack: { handler: enableRemoteTrack, status: 'works', test: 'ffi/protocol-tracks' },
  enableRemoteTrackPublication: {
    handler: enableRemoteTrackPublication,
    status: 'works',
    test: 'ffi/protocol-tracks',
  },
  updateRemoteTrackPublicationDimension: {
    handler: updateRemoteTrackPublicationDimension,
    status: 'works',
    test: 'ffi/protocol-tracks',
  },
  setRemoteTrackPublicationQuality: {
    handler: setRemoteTrackPublicationQuality,
    status: 'works',
    test: 'ffi/protocol-tracks',
  },
  getStats: {
    handler: getStats,
    status: 'works',
    note: 'Every field that the native engine fills, but the quantizer of video (`qpSum`), a target delay of video, and estimates of what is received. Audio levels are root mean squares; the native engine gives peaks.',
    test: 'ffi/stats-fields',
  },
  getSessionStats: {
    handler: getSessionStats,
    status: 'works',
    note: 'As `getStats`, of all tracks; with data channels and all candidates.',
    test: 'ffi/stats-fields',
  },

  newAudioSource: {
    handler: newAudioSource,
    status: 'works',
    note: 'Of the type PLATFORM it is silent, as on a machine without a microphone.',
    test: 'ffi/audio-source',
  },
  captureAudioFrame: { handler: captureAudioFrame, status: 'works', test: 'ffi/audio-source' },
  clearAudioBuffer: { handler: clearAudioBuffer, status: 'works', test: 'ffi/audio-source' },
  newAudioStream: { handler: newAudioStream, status: 'works', test: 'ffi/audio' },
  audioStreamFromParticipant: {
    handler: audioStreamFromParticipant,
    status: 'works',
    test: 'ffi/protocol-tracks',
  },
  newAudioResampler: { handler: newAudioResampler, status: 'works', test: 'ffi/resampler' },
  remixAndResample: { handler: remixAndResample, status: 'works', test: 'ffi/resampler' },
  newSoxResampler: {
    handler: newSoxResampler,
    failed: inMessage,
    status: 'partly',
    note: 'Interleaved samples and whole rates; flags are ignored.',
    test: 'ffi/resampler',
  },
  pushSoxResampler: { handler: pushSoxResampler, failed: inSox, status: 'works', test: 'ffi/resampler' },
  flushSoxResampler: { handler: flushSoxResampler, failed: inSox, status: 'works', test: 'ffi/resampler' },
  loadAudioFilterPlugin: {
    handler: loadAudioFilterPlugin,
    failed: inError,
    status: 'works',
    note: 'The plugin runs in a process of its own and never delays a connect.',
    test: 'ffi/filter',
  },

  publishData: { handler: publishData, status: 'works', test: 'ffi/data' },
  publishTranscription: { handler: publishTranscription, status: 'works', test: 'ffi/protocol-data' },
  publishSipDtmf: { handler: publishSipDtmf, status: 'works', test: 'ffi/data' },
  setDataChannelBufferedAmountLowThreshold: {
    handler: setDataChannelBufferedAmountLowThreshold,
    status: 'works',
    test: 'ffi/protocol-data',
  },
  sendChatMessage: { handler: sendChatMessage, status: 'works', test: 'ffi/data' },
  editChatMessage: { handler: editChatMessage, status: 'works', test: 'ffi/data' },

  setLocalMetadata: { handler: setLocalMetadata, status: 'works', test: 'ffi/participant' },
  setLocalName: { handler: setLocalName, status: 'works', test: 'ffi/participant' },
  setLocalAttributes: { handler: setLocalAttributes, status: 'works', test: 'ffi/participant' },

  performRpc: { handler: performRpc, status: 'works', test: 'ffi/rpc' },
  registerRpcMethod: { handler: registerRpcMethod, status: 'works', test: 'ffi/rpc' },
  unregisterRpcMethod: { handler: unregisterRpcMethod, status: 'works', test: 'ffi/rpc' },
  rpcMethodInvocationResponse: {
    handler: rpcMethodInvocationResponse,
    failed: inError,
    status: 'works',
    test: 'ffi/rpc',
  },

  sendStreamHeader: { handler: sendStreamHeader, status: 'works', test: 'ffi/protocol-data' },
  sendStreamChunk: { handler: sendStreamChunk, status: 'works', test: 'ffi/protocol-data' },
  sendStreamTrailer: { handler: sendStreamTrailer, status: 'works', test: 'ffi/protocol-data' },
  byteReadIncremental: { handler: byteReadIncremental, status: 'works', test: 'ffi/streams' },
  byteReadAll: { handler: byteReadAll, status: 'works', test: 'ffi/protocol-data' },
  byteWriteToFile: { handler: byteWriteToFile, status: 'works', test: 'ffi/protocol-data' },
  textReadIncremental: { handler: textReadIncremental, status: 'works', test: 'ffi/streams' },
  textReadAll: { handler: textReadAll, status: 'works', test: 'ffi/protocol-data' },
  sendFile: { handler: sendFile, status: 'works', test: 'ffi/streams' },
  sendText: { handler: sendText, status: 'works', test: 'ffi/streams' },
  sendBytes: { handler: sendBytes, status: 'works', test: 'ffi/streams' },
  byteStreamOpen: { handler: byteStreamOpen, status: 'works', test: 'ffi/streams' },
  byteStreamWrite: { handler: byteStreamWrite, status: 'works', test: 'ffi/streams' },
  byteStreamClose: { handler: byteStreamClose, status: 'works', test: 'ffi/streams' },
  textStreamOpen: { handler: textStreamOpen, status: 'works', test: 'ffi/streams' },
  textStreamWrite: { handler: textStreamWrite, status: 'works', test: 'ffi/streams' },
  textStreamClose: { handler: textStreamClose, status: 'works', test: 'ffi/streams' },

  newApm: {
    handler: newApm,
    status: 'works',
    note: "Echo cancellation is WebRTC's, noise suppression RNNoise.",
    test: 'ffi/apm',
  },
  apmProcessStream: { handler: apmProcessStream, failed: inError, status: 'works', test: 'ffi/apm' },
  apmProcessReverseStream: {
    handler: apmProcessReverseStream,
    failed: inError,
    status: 'works',
    test: 'ffi/apm',
  },
  apmSetStreamDelay: { handler: apmSetStreamDelay, failed: inError, status: 'works', test: 'ffi/apm' },

  e2ee: { handler: e2ee, status: 'works', test: 'ffi/encryption' },

  createVideoTrack: { handler: createVideoTrack, status: 'works', test: 'ffi/video' },
  newVideoStream: {
    handler: newVideoStream,
    status: 'works',
    note: `${videoNote} With frames’ metadata.`,
    test: 'ffi/video',
  },
  newVideoSource: {
    handler: newVideoSource,
    status: 'works',
    note: 'Sent as H.264 or VP8, in the layers of LiveKit’s clients; VP9 and AV1 as H.264, and SVC (`scalability_mode`) as simulcast, with a log line. Needs the package too, but for frames that come encoded.',
    test: 'ffi/video',
  },
  captureVideoFrame: {
    handler: captureVideoFrame,
    status: 'works',
    note: 'With a frame’s metadata: behind a frame, in AV1 in an OBU of its own; encryption does not cover it, as in the native engine.',
    test: 'python/frame-metadata',
  },
  videoConvert: {
    handler: videoConvert,
    failed: inMessage,
    status: 'works',
    note: 'Between any two types; the native engine has no conversions between types of RGB.',
    test: 'ffi/video-convert',
  },
  videoStreamFromParticipant: {
    handler: videoStreamFromParticipant,
    status: 'works',
    note: videoNote,
    test: 'ffi/video',
  },

  publishDataTrack: { handler: publishDataTrack, status: 'works', test: 'ffi/data-tracks' },
  localDataTrackTryPush: { handler: localDataTrackTryPush, status: 'works', test: 'ffi/data-tracks' },
  localDataTrackUnpublish: { handler: localDataTrackUnpublish, status: 'works', test: 'ffi/data-tracks' },
  localDataTrackIsPublished: { handler: localDataTrackIsPublished, status: 'works', test: 'ffi/data-tracks' },
  subscribeDataTrack: { handler: subscribeDataTrack, status: 'works', test: 'ffi/data-tracks' },
  remoteDataTrackIsPublished: {
    handler: remoteDataTrackIsPublished,
    status: 'works',
    test: 'ffi/data-tracks',
  },
  dataTrackStreamRead: { handler: dataTrackStreamRead, status: 'works', test: 'ffi/data-tracks' },
  remoteDataTrackSetPipelineOptions: {
    handler: remoteDataTrackSetPipelineOptions,
    status: 'works',
    test: 'ffi/data-tracks',
  },
  defineSchema: { handler: defineSchema, status: 'works', test: 'ffi/data-tracks' },
  getSchema: { handler: getSchema, status: 'works', test: 'ffi/data-tracks' },

  newPlatformAudio: {
    handler: newPlatformAudio,
    status: 'works',
    note: noSoundCard,
    test: 'ffi/platform-audio',
  },
  getAudioDevices: {
    handler: getAudioDevices,
    status: 'works',
    note: noSoundCard,
    test: 'ffi/platform-audio',
  },
  setRecordingDevice: {
    handler: setRecordingDevice,
    status: 'works',
    note: noSoundCard,
    test: 'ffi/platform-audio',
  },
  setPlayoutDevice: {
    handler: setPlayoutDevice,
    status: 'works',
    note: noSoundCard,
    test: 'ffi/platform-audio',
  },
  startRecording: { handler: startRecording, status: 'works', note: noSoundCard, test: 'ffi/platform-audio' },
  stopRecording: { handler: stopRecording, status: 'works', note: noSoundCard, test: 'ffi/platform-audio' },
};
