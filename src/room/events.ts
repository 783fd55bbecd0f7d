import type {
  ChatMessage,
  ConnectionQuality,
  DataStream_Chunk,
  DataStream_Header,
  DataStream_Trailer,
  DisconnectReason,
  ParticipantPermission,
  TranscriptionSegment,
} from '@livekit/protocol';
import type { ByteStreamReader, PacketKind, TextStreamReader } from '../data/index.js';
import type { EncryptionState } from '../e2ee/index.js';
import type { RemoteDataTrack } from './data/remote-data-tracks.js';
import type { RoomInfo, Speaker } from './info.js';
import type { Participant } from './participants/participant.js';
import type { RemoteParticipant } from './participants/remote-participant.js';
import type { LocalTrackPublication } from './tracks/local-track-publication.js';
import type { RemoteTrack } from './tracks/remote-track.js';
import type { RemoteTrackPublication } from './tracks/remote-track-publication.js';

/** Events of the state reducer: what changed for participants and tracks, by identity and sid. */
export type StateEvent =
  | { type: 'participantConnected'; participantIdentity: string }
  | { type: 'participantActive'; participantIdentity: string }
  | { type: 'participantDisconnected'; participantIdentity: string; reason: DisconnectReason }
  | { type: 'participantsUpdated'; participantIdentities: readonly string[] }
  | { type: 'participantMetadataChanged'; participantIdentity: string; metadata: string }
  | { type: 'participantNameChanged'; participantIdentity: string; name: string }
  | {
      type: 'participantAttributesChanged';
      participantIdentity: string;
      attributes: Readonly<Record<string, string>>;
      /** What was added or got another value; a removed one is here with an empty value. */
      changedAttributes: Readonly<Record<string, string>>;
    }
  | {
      type: 'participantPermissionChanged';
      participantIdentity: string;
      permission: ParticipantPermission | undefined;
    }
  | { type: 'participantEncryptionStatusChanged'; participantIdentity: string; isEncrypted: boolean }
  | { type: 'trackPublished'; participantIdentity: string; publicationSid: string }
  | { type: 'trackUnpublished'; participantIdentity: string; publicationSid: string }
  | { type: 'trackSubscribed'; participantIdentity: string; trackSid: string }
  | { type: 'trackUnsubscribed'; participantIdentity: string; trackSid: string }
  | { type: 'trackSubscriptionFailed'; participantIdentity: string; trackSid: string; error: string }
  /** Of local tracks too. */
  | { type: 'trackMuted'; participantIdentity: string; trackSid: string }
  | { type: 'trackUnmuted'; participantIdentity: string; trackSid: string }
  | { type: 'localTrackPublished'; trackSid: string }
  | { type: 'localTrackUnpublished'; publicationSid: string }
  | { type: 'localTrackRepublished'; previousSid: string; publicationSid: string }
  | { type: 'localTrackSubscribed'; trackSid: string }
  | { type: 'activeSpeakersChanged'; speakers: readonly Speaker[] }
  | { type: 'connectionQualityChanged'; participantIdentity: string; quality: ConnectionQuality }
  | { type: 'roomMetadataChanged'; metadata: string }
  | { type: 'roomSidChanged'; sid: string }
  | { type: 'roomUpdated'; room: RoomInfo }
  | { type: 'moved'; room: RoomInfo }
  | { type: 'tokenRefreshed'; token: string }
  | { type: 'connectionStateChanged'; state: 'connected' | 'reconnecting' | 'disconnected' }
  | { type: 'reconnecting' }
  | { type: 'reconnected' }
  | { type: 'disconnected'; reason: DisconnectReason; message: string };

/** Events of data packets, in the order in which the packets came. */
export type DataEvent =
  | {
      type: 'dataPacketReceived';
      /** Empty when a server's API sent it. */
      participantIdentity: string;
      kind: PacketKind;
      value:
        | { case: 'user'; payload: Uint8Array; topic: string | undefined }
        | { case: 'sipDtmf'; code: number; digit: string };
    }
  | {
      type: 'transcriptionReceived';
      participantIdentity: string;
      trackSid: string;
      segments: readonly TranscriptionSegment[];
    }
  | { type: 'chatMessage'; participantIdentity: string; message: ChatMessage }
  | { type: 'streamHeaderReceived'; participantIdentity: string; header: DataStream_Header }
  | { type: 'streamChunkReceived'; participantIdentity: string; chunk: DataStream_Chunk }
  | { type: 'streamTrailerReceived'; participantIdentity: string; trailer: DataStream_Trailer }
  | { type: 'textStreamOpened'; participantIdentity: string; reader: TextStreamReader }
  | { type: 'byteStreamOpened'; participantIdentity: string; reader: ByteStreamReader }
  | { type: 'dataChannelLowThresholdChanged'; kind: PacketKind; thresholdBytes: number };

/** Data tracks of others, also of those who were there before we joined. */
export type DataTrackEvent =
  | { type: 'dataTrackPublished'; track: RemoteDataTrack }
  | { type: 'dataTrackUnpublished'; sid: string };

/** The encryption of a track, or of the data that a participant sends, works or does not. */
export interface EncryptionEvent {
  type: 'e2eeStateChanged';
  participantIdentity: string;
  /** Undefined for data. */
  trackSid: string | undefined;
  state: EncryptionState;
}

/** What an event names by identity or sid, as the objects themselves. They are in the room's maps during the event. */
interface EventObjects {
  participantConnected: { participant: RemoteParticipant };
  participantActive: { participant: RemoteParticipant };
  participantDisconnected: { participant: RemoteParticipant };
  participantsUpdated: { participants: readonly Participant[] };
  trackPublished: { participant: RemoteParticipant; publication: RemoteTrackPublication };
  trackUnpublished: { participant: RemoteParticipant; publication: RemoteTrackPublication };
  trackSubscribed: {
    participant: RemoteParticipant;
    publication: RemoteTrackPublication;
    track: RemoteTrack;
  };
  trackUnsubscribed: {
    participant: RemoteParticipant;
    publication: RemoteTrackPublication;
    track: RemoteTrack;
  };
  localTrackPublished: { publication: LocalTrackPublication };
  localTrackUnpublished: { publication: LocalTrackPublication };
  localTrackRepublished: { publication: LocalTrackPublication };
}

type WithObjects<Event> = Event extends { type: infer Type extends keyof EventObjects }
  ? Event & EventObjects[Type]
  : Event;

/** All events of a room, in the order in which they happened. The names are those of the FFI protocol. */
export type RoomEvent =
  | WithObjects<StateEvent>
  | DataEvent
  | DataTrackEvent
  | EncryptionEvent
  | { type: 'eos' };
