import type { OwnedParticipant } from '@livekit/rtc-ffi-bindings/proto/participant_pb.js';
import type { RoomEvent as FfiRoomEvent } from '@livekit/rtc-ffi-bindings/proto/room_pb.js';
import type { OwnedTrackPublication } from '@livekit/rtc-ffi-bindings/proto/track_pb.js';
import type { EncryptionState as RoomEncryptionState } from '../../e2ee/index.js';
import type {
  LocalTrackPublication,
  RemoteParticipant,
  RemoteTrackPublication,
  RoomEvent,
} from '../../room/index.js';
import type { Context } from '../context.js';
import {
  toFfiByteStream,
  toFfiChunk,
  toFfiHeader,
  toFfiTextStream,
  toFfiTrailer,
} from '../conversion/data-stream.js';
import { toFfiDataTrack } from '../conversion/data-track.js';
import { toFfiParticipant, toFfiPermission } from '../conversion/participant.js';
import { toFfiChatMessage, toFfiConnectionState, toFfiPacketKind, toFfiRoom } from '../conversion/room.js';
import { toFfiPublication, toFfiRemoteTrack } from '../conversion/track.js';
import type { InitOf } from '../messages.js';
import { EncryptionState } from '../protocol.js';
import type { LentBuffer } from '../wire.js';

type OneOf = FfiRoomEvent['message'];
export type RoomEventCase = Exclude<OneOf['case'], undefined>;
export type RoomMessage = {
  [Name in RoomEventCase]: { case: Name; value: InitOf<Extract<OneOf, { case: Name }>['value']> };
}[RoomEventCase];

/** An event of the protocol, with the buffer that it points to. */
interface Translated {
  message: RoomMessage;
  buffers?: LentBuffer[];
}

/** Gives out the handles of what an event tells of. */
interface Owner {
  ownParticipant(participant: RemoteParticipant): InitOf<OwnedParticipant>;
  ownRemotePublication(publication: RemoteTrackPublication): InitOf<OwnedTrackPublication>;
  localPublicationHandle(publication: LocalTrackPublication): bigint;
}

type Translators = {
  [Type in RoomEvent['type']]: (
    event: Extract<RoomEvent, { type: Type }>,
    room: Owner,
    context: Context,
  ) => Translated | undefined;
};

const encryptionStates: Record<RoomEncryptionState, number> = {
  new: EncryptionState.NEW,
  ok: EncryptionState.OK,
  encryptionFailed: EncryptionState.ENCRYPTION_FAILED,
  decryptionFailed: EncryptionState.DECRYPTION_FAILED,
  missingKey: EncryptionState.MISSING_KEY,
  keyRatcheted: EncryptionState.KEY_RATCHETED,
  internalError: EncryptionState.INTERNAL_ERROR,
};

const attributeEntries = (attributes: Readonly<Record<string, string>>) =>
  Object.entries(attributes).map(([key, value]) => ({ key, value }));

/** One translator for each event of a room. They give out the handles that the event carries. */
const translators: Translators = {
  participantConnected: ({ participant }, room) => ({
    message: { case: 'participantConnected', value: { info: room.ownParticipant(participant) } },
  }),
  participantActive: ({ participantIdentity }) => ({
    message: { case: 'participantActive', value: { participantIdentity } },
  }),
  participantDisconnected: ({ participantIdentity, reason }) => ({
    message: {
      case: 'participantDisconnected',
      value: { participantIdentity, disconnectReason: reason as number },
    },
  }),
  participantsUpdated: ({ participants }) => ({
    message: {
      case: 'participantsUpdated',
      value: { participants: participants.map(({ info }) => toFfiParticipant(info)) },
    },
  }),
  participantMetadataChanged: ({ participantIdentity, metadata }) => ({
    message: { case: 'participantMetadataChanged', value: { participantIdentity, metadata } },
  }),
  participantNameChanged: ({ participantIdentity, name }) => ({
    message: { case: 'participantNameChanged', value: { participantIdentity, name } },
  }),
  participantAttributesChanged: ({ participantIdentity, attributes, changedAttributes }) => ({
    message: {
      case: 'participantAttributesChanged',
      value: {
        participantIdentity,
        attributes: attributeEntries(attributes),
        changedAttributes: attributeEntries(changedAttributes),
      },
    },
  }),
  participantPermissionChanged: ({ participantIdentity, permission }) => ({
    message: {
      case: 'participantPermissionChanged',
      value: { participantIdentity, permission: permission && toFfiPermission(permission) },
    },
  }),
  participantEncryptionStatusChanged: ({ participantIdentity, isEncrypted }) => ({
    message: { case: 'participantEncryptionStatusChanged', value: { participantIdentity, isEncrypted } },
  }),
  trackPublished: ({ participantIdentity, publication }, room) => ({
    message: {
      case: 'trackPublished',
      value: { participantIdentity, publication: room.ownRemotePublication(publication) },
    },
  }),
  trackUnpublished: ({ participantIdentity, publicationSid }) => ({
    message: { case: 'trackUnpublished', value: { participantIdentity, publicationSid } },
  }),
  trackSubscribed: ({ participantIdentity, track }, _room, { handles }) => ({
    message: {
      case: 'trackSubscribed',
      value: {
        participantIdentity,
        track: { handle: { id: BigInt(handles.add(track)) }, info: toFfiRemoteTrack(track) },
      },
    },
  }),
  trackUnsubscribed: ({ participantIdentity, trackSid }) => ({
    message: { case: 'trackUnsubscribed', value: { participantIdentity, trackSid } },
  }),
  trackSubscriptionFailed: ({ participantIdentity, trackSid, error }) => ({
    message: { case: 'trackSubscriptionFailed', value: { participantIdentity, trackSid, error } },
  }),
  trackMuted: ({ participantIdentity, trackSid }) => ({
    message: { case: 'trackMuted', value: { participantIdentity, trackSid } },
  }),
  trackUnmuted: ({ participantIdentity, trackSid }) => ({
    message: { case: 'trackUnmuted', value: { participantIdentity, trackSid } },
  }),
  localTrackPublished: ({ trackSid }) => ({
    message: { case: 'localTrackPublished', value: { trackSid } },
  }),
  localTrackUnpublished: ({ publicationSid }) => ({
    message: { case: 'localTrackUnpublished', value: { publicationSid } },
  }),
  localTrackRepublished: ({ previousSid, publication }, room) => ({
    message: {
      case: 'localTrackRepublished',
      value: {
        publicationHandle: room.localPublicationHandle(publication),
        previousSid,
        info: toFfiPublication(publication.info, false),
      },
    },
  }),
  localTrackSubscribed: ({ trackSid }) => ({
    message: { case: 'localTrackSubscribed', value: { trackSid } },
  }),
  activeSpeakersChanged: ({ speakers }) => ({
    message: {
      case: 'activeSpeakersChanged',
      value: { participantIdentities: speakers.map(({ participantIdentity }) => participantIdentity) },
    },
  }),
  connectionQualityChanged: ({ participantIdentity, quality }) => ({
    message: {
      case: 'connectionQualityChanged',
      value: { participantIdentity, quality: quality as number },
    },
  }),
  roomMetadataChanged: ({ metadata }) => ({
    message: { case: 'roomMetadataChanged', value: { metadata } },
  }),
  roomSidChanged: ({ sid }) => ({ message: { case: 'roomSidChanged', value: { sid } } }),
  roomUpdated: ({ room }) => ({ message: { case: 'roomUpdated', value: toFfiRoom(room) } }),
  moved: ({ room }) => ({ message: { case: 'moved', value: toFfiRoom(room) } }),
  tokenRefreshed: ({ token }) => ({ message: { case: 'tokenRefreshed', value: { token } } }),
  connectionStateChanged: ({ state }) => ({
    message: { case: 'connectionStateChanged', value: { state: toFfiConnectionState(state) } },
  }),
  reconnecting: () => ({ message: { case: 'reconnecting', value: {} } }),
  reconnected: () => ({ message: { case: 'reconnected', value: {} } }),
  disconnected: ({ reason }) => ({
    message: { case: 'disconnected', value: { reason: reason as number } },
  }),
  dataPacketReceived: ({ participantIdentity, kind, value }, _room, context) => {
    const common = { participantIdentity, kind: toFfiPacketKind(kind) };
    if (value.case === 'sipDtmf') {
      const dtmf = { case: 'sipDtmf' as const, value: { code: value.code, digit: value.digit } };
      return { message: { case: 'dataPacketReceived', value: { ...common, value: dtmf } } };
    }
    const buffer = context.lendBuffer(value.payload);
    const data = {
      handle: { id: BigInt(buffer.handle) },
      data: { dataPtr: BigInt(buffer.address), dataLen: BigInt(value.payload.length) },
    };
    const user = { case: 'user' as const, value: { data, topic: value.topic } };
    return {
      message: { case: 'dataPacketReceived', value: { ...common, value: user } },
      buffers: [buffer],
    };
  },
  transcriptionReceived: ({ participantIdentity, trackSid, segments }) => ({
    message: {
      case: 'transcriptionReceived',
      value: {
        participantIdentity,
        trackSid,
        segments: segments.map(({ id, text, startTime, endTime, final, language }) => ({
          id,
          text,
          startTime,
          endTime,
          final,
          language,
        })),
      },
    },
  }),
  chatMessage: ({ participantIdentity, message }) => ({
    message: { case: 'chatMessage', value: { participantIdentity, message: toFfiChatMessage(message) } },
  }),
  streamHeaderReceived: ({ participantIdentity, header }) => ({
    message: { case: 'streamHeaderReceived', value: { participantIdentity, header: toFfiHeader(header) } },
  }),
  streamChunkReceived: ({ participantIdentity, chunk }) => ({
    message: { case: 'streamChunkReceived', value: { participantIdentity, chunk: toFfiChunk(chunk) } },
  }),
  streamTrailerReceived: ({ participantIdentity, trailer }) => ({
    message: {
      case: 'streamTrailerReceived',
      value: { participantIdentity, trailer: toFfiTrailer(trailer) },
    },
  }),
  textStreamOpened: ({ participantIdentity, reader }, _room, { handles }) => ({
    message: {
      case: 'textStreamOpened',
      value: {
        participantIdentity,
        reader: {
          handle: { id: BigInt(handles.add(reader, () => reader.cancel())) },
          info: toFfiTextStream(reader.info),
        },
      },
    },
  }),
  byteStreamOpened: ({ participantIdentity, reader }, _room, { handles }) => ({
    message: {
      case: 'byteStreamOpened',
      value: {
        participantIdentity,
        reader: {
          handle: { id: BigInt(handles.add(reader, () => reader.cancel())) },
          info: toFfiByteStream(reader.info),
        },
      },
    },
  }),
  dataChannelLowThresholdChanged: ({ kind, thresholdBytes }) => ({
    message: {
      case: 'dataChannelLowThresholdChanged',
      value: { kind: toFfiPacketKind(kind), threshold: BigInt(thresholdBytes) },
    },
  }),
  dataTrackPublished: ({ track }, _room, { handles }) => ({
    message: {
      case: 'dataTrackPublished',
      value: {
        track: {
          handle: { id: BigInt(handles.add(track)) },
          info: toFfiDataTrack(track.info),
          publisherIdentity: track.publisherIdentity,
        },
      },
    },
  }),
  dataTrackUnpublished: ({ sid }) => ({ message: { case: 'dataTrackUnpublished', value: { sid } } }),
  e2eeStateChanged: ({ participantIdentity, state }) => ({
    message: { case: 'e2eeStateChanged', value: { participantIdentity, state: encryptionStates[state] } },
  }),
  // FfiRoom tells of the end itself, once everything that came before has been told.
  eos: () => undefined,
};

export function translateRoomEvent(event: RoomEvent, room: Owner, context: Context): Translated | undefined {
  const translate = translators[event.type] as (
    event: RoomEvent,
    room: Owner,
    context: Context,
  ) => Translated | undefined;
  return translate(event, room, context);
}
