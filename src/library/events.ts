import type { RemoteDataTrack } from './data-tracks.js';
import type { EncryptionState } from './encryption.js';
import type { TranscriptionSegment } from './local-participant.js';
import type { Participant, RemoteParticipant } from './participant.js';
import type { ConnectionState, RoomInfo } from './room.js';
import type {
  LocalTrackPublication,
  RemoteTrack,
  RemoteTrackPublication,
  TrackPublication,
} from './tracks.js';
import type { ConnectionQuality, DisconnectReason } from './values.js';

/** What each event of a room carries, by its name. Events come in the order in which they happened. */
export interface RoomEvents {
  participantConnected: { participant: RemoteParticipant };
  /** Its media is connected: it can receive data. */
  participantActive: { participant: RemoteParticipant };
  participantDisconnected: { participant: RemoteParticipant; reason: DisconnectReason };
  participantMetadataChanged: { participant: Participant; previousMetadata: string };
  participantNameChanged: { participant: Participant; name: string };
  /** `changed`: what was added or got another value; a removed one is there with an empty value. */
  participantAttributesChanged: { participant: Participant; changed: Readonly<Record<string, string>> };
  participantPermissionChanged: { participant: Participant };
  participantEncryptionChanged: { participant: Participant; isEncrypted: boolean };
  /**
   * What is received of a participant cannot be decrypted, or can again; or what we send cannot be encrypted. `participant` is
   * undefined when it has left.
   */
  encryptionStateChanged: {
    participant: Participant | undefined;
    participantIdentity: string;
    state: EncryptionState;
  };
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
  trackSubscriptionFailed: { participant: RemoteParticipant; trackSid: string; error: string };
  /** Of local tracks too. */
  trackMuted: { participant: Participant; publication: TrackPublication };
  trackUnmuted: { participant: Participant; publication: TrackPublication };
  localTrackPublished: { publication: LocalTrackPublication };
  localTrackUnpublished: { publication: LocalTrackPublication };
  /** After a full reconnect: the same publication under another sid. */
  localTrackRepublished: { publication: LocalTrackPublication; previousSid: string };
  /** Somebody receives the track. */
  localTrackSubscribed: { publication: LocalTrackPublication };
  activeSpeakersChanged: { speakers: readonly Participant[] };
  connectionQualityChanged: { participant: Participant; quality: ConnectionQuality };
  roomMetadataChanged: { metadata: string };
  roomUpdated: { info: RoomInfo };
  /** The server has moved us to another room. */
  moved: { info: RoomInfo };
  dataTrackPublished: { participant: RemoteParticipant; track: RemoteDataTrack };
  dataTrackUnpublished: { participant: RemoteParticipant; track: RemoteDataTrack };
  connectionStateChanged: { state: ConnectionState };
  reconnecting: object;
  reconnected: object;
  disconnected: { reason: DisconnectReason };
  /** `participant` is undefined, and the identity empty, when a server's API sent it. */
  dataReceived: {
    participant: RemoteParticipant | undefined;
    participantIdentity: string;
    payload: Uint8Array;
    topic: string | undefined;
    reliable: boolean;
  };
  /** A tone of a telephone's keypad. */
  dtmfReceived: {
    participant: RemoteParticipant | undefined;
    participantIdentity: string;
    code: number;
    digit: string;
  };
  transcriptionReceived: {
    participantIdentity: string;
    trackSid: string;
    segments: readonly TranscriptionSegment[];
  };
}

const names: Record<keyof RoomEvents, true> = {
  participantConnected: true,
  participantActive: true,
  participantDisconnected: true,
  participantMetadataChanged: true,
  participantNameChanged: true,
  participantAttributesChanged: true,
  participantPermissionChanged: true,
  participantEncryptionChanged: true,
  encryptionStateChanged: true,
  trackPublished: true,
  trackUnpublished: true,
  trackSubscribed: true,
  trackUnsubscribed: true,
  trackSubscriptionFailed: true,
  trackMuted: true,
  trackUnmuted: true,
  localTrackPublished: true,
  localTrackUnpublished: true,
  localTrackRepublished: true,
  localTrackSubscribed: true,
  activeSpeakersChanged: true,
  connectionQualityChanged: true,
  roomMetadataChanged: true,
  roomUpdated: true,
  moved: true,
  dataTrackPublished: true,
  dataTrackUnpublished: true,
  connectionStateChanged: true,
  reconnecting: true,
  reconnected: true,
  disconnected: true,
  dataReceived: true,
  dtmfReceived: true,
  transcriptionReceived: true,
};

/** All of them, to tell a misspelt one. */
export const roomEventNames = Object.keys(names) as (keyof RoomEvents)[];
