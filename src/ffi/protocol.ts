import { createRequire } from 'node:module';
import type * as AudioFramePb from '@livekit/rtc-ffi-bindings/proto/audio_frame_pb.js';
import type * as DataTrackPb from '@livekit/rtc-ffi-bindings/proto/data_track_pb.js';
import type * as E2eePb from '@livekit/rtc-ffi-bindings/proto/e2ee_pb.js';
import type * as FfiPb from '@livekit/rtc-ffi-bindings/proto/ffi_pb.js';
import type * as ParticipantPb from '@livekit/rtc-ffi-bindings/proto/participant_pb.js';
import type * as RoomPb from '@livekit/rtc-ffi-bindings/proto/room_pb.js';
import type * as StatsPb from '@livekit/rtc-ffi-bindings/proto/stats_pb.js';
import type * as TrackPb from '@livekit/rtc-ffi-bindings/proto/track_pb.js';
import type * as VideoFramePb from '@livekit/rtc-ffi-bindings/proto/video_frame_pb.js';

/*
 * The classes and enumerations of the protocol that the engine uses as values. They are required, not imported: for a
 * named import of CommonJS, Node reads every file once more to find its names, which took 80 ms and 6 MB at each start.
 */
const require = createRequire(import.meta.url);
const load = (name: string): unknown => require(`@livekit/rtc-ffi-bindings/proto/${name}_pb.js`);

const ffi = load('ffi') as typeof FfiPb;
const room = load('room') as typeof RoomPb;
const track = load('track') as typeof TrackPb;
const participant = load('participant') as typeof ParticipantPb;
const audioFrame = load('audio_frame') as typeof AudioFramePb;

export const { FfiEvent, FfiRequest, FfiResponse } = ffi;
export const { EncryptionState, EncryptionType, KeyDerivationFunction } = load('e2ee') as typeof E2eePb;
export const { StreamState } = track;
export const { DisconnectReason } = participant;
export const { IceTransportType } = room;
export const { AudioSourceType, SoxResamplerDataType } = audioFrame;
export const {
  LocalDataTrackTryPushErrorCode: PushErrorCode,
  PublishDataTrackErrorCode: PublishErrorCode,
  SubscribeDataTrackErrorCode: SubscribeErrorCode,
  DataTrackFrameEncoding_WellKnownFrameEncoding: WellKnownFrameEncoding,
  DataTrackSchemaEncoding_WellKnownSchemaEncoding: WellKnownSchemaEncoding,
} = load('data_track') as typeof DataTrackPb;
export const statsMessages = load('stats') as typeof StatsPb;

export const LogLevel = ffi.LogLevel;
export type LogLevel = FfiPb.LogLevel;
export const TrackKind = track.TrackKind;
export type TrackKind = TrackPb.TrackKind;
export const ParticipantKind = participant.ParticipantKind;
export type ParticipantKind = ParticipantPb.ParticipantKind;
export const ConnectionState = room.ConnectionState;
export type ConnectionState = RoomPb.ConnectionState;
export const DataPacketKind = room.DataPacketKind;
export type DataPacketKind = RoomPb.DataPacketKind;
export const SimulateScenarioKind = room.SimulateScenarioKind;
export type SimulateScenarioKind = RoomPb.SimulateScenarioKind;
export const AudioStreamType = audioFrame.AudioStreamType;
export type AudioStreamType = AudioFramePb.AudioStreamType;
export const SoxQualityRecipe = audioFrame.SoxQualityRecipe;
export type SoxQualityRecipe = AudioFramePb.SoxQualityRecipe;
const videoFrame = load('video_frame') as typeof VideoFramePb;
export const VideoBufferType = videoFrame.VideoBufferType;
export type VideoBufferType = VideoFramePb.VideoBufferType;
export const VideoStreamType = videoFrame.VideoStreamType;
export type VideoStreamType = VideoFramePb.VideoStreamType;
export const VideoSourceType = videoFrame.VideoSourceType;
export type VideoSourceType = VideoFramePb.VideoSourceType;
export const FfiVideoCodec = videoFrame.VideoCodec;
export type FfiVideoCodec = VideoFramePb.VideoCodec;
