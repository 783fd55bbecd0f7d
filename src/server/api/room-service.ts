import {
  CreateRoomRequest,
  DataPacket,
  DeleteRoomRequest,
  DeleteRoomResponse,
  DisconnectReason,
  ForwardParticipantRequest,
  ListParticipantsRequest,
  ListParticipantsResponse,
  ListRoomsRequest,
  ListRoomsResponse,
  MoveParticipantRequest,
  MuteRoomTrackRequest,
  MuteRoomTrackResponse,
  PerformRpcRequest,
  PerformRpcResponse,
  RemoveParticipantResponse,
  RoomParticipantIdentity,
  SendDataRequest,
  SendDataResponse,
  UpdateParticipantRequest,
  UpdateRoomMetadataRequest,
  UpdateSubscription,
  UpdateSubscriptionsRequest,
  UpdateSubscriptionsResponse,
  UserPacket,
} from '@livekit/protocol';
import { type RpcError, rpcErrorCodes } from '../../data/index.js';
import { timerMs } from '../../limits.js';
import { isWithin, oversizedProperty } from '../checked-values.js';
import { limits } from '../limits.js';
import type { Participant } from '../participant.js';
import type { Room } from '../room.js';
import type { Rooms } from '../rooms.js';
import { CongestionError } from '../server-data.js';
import { mergeAttributes, muteTrack, updateSubscription } from '../signal-requests.js';
import { method, type TwirpService } from './twirp.js';
import { TwirpError } from './twirp-error.js';

/** As long as a UUID (protocol message SendDataRequest). */
const nonceBytes = 16;

/** The RoomService of LiveKit's server API. */
export function roomService(rooms: Rooms): TwirpService {
  const findRoom = (name: string): Room => {
    const room = rooms.byName.get(name);
    if (!room) throw new TwirpError('not_found', 'requested room does not exist');
    return room;
  };
  const find = (roomName: string, identity: string): { room: Room; participant: Participant } => {
    const room = rooms.byName.get(roomName);
    const participant = room?.participants.get(identity);
    if (!room || !participant) throw new TwirpError('not_found', 'participant does not exist');
    return { room, participant };
  };

  const isThere = ({ room, identity }: { room: string; identity: string }): boolean =>
    rooms.byName.get(room)?.participants.has(identity) ?? false;

  return {
    CreateRoom: method(CreateRoomRequest, (request) => {
      requireRoomName(request.name);
      requireWithin('metadataBytes', request.metadata, 'metadata');
      return rooms.open(request.name, request).room.info();
    }),
    ListRooms: method(ListRoomsRequest, ({ names }) => {
      const wanted = [...rooms.byName.values()].filter(
        ({ name }) => names.length === 0 || names.includes(name),
      );
      return new ListRoomsResponse({ rooms: wanted.map((room) => room.info()) });
    }),
    DeleteRoom: method(DeleteRoomRequest, ({ room }) => {
      findRoom(room).close(DisconnectReason.ROOM_DELETED);
      return new DeleteRoomResponse();
    }),
    ListParticipants: method(ListParticipantsRequest, ({ room }) => {
      const present = [...(rooms.byName.get(room)?.participants.values() ?? [])];
      return new ListParticipantsResponse({ participants: present.map((participant) => participant.info()) });
    }),
    GetParticipant: method(RoomParticipantIdentity, ({ room, identity }) => {
      return find(room, identity).participant.info();
    }),
    RemoveParticipant: method(RoomParticipantIdentity, (request) => {
      const { room, participant } = find(request.room, request.identity);
      room.remove(participant, DisconnectReason.PARTICIPANT_REMOVED);
      return new RemoveParticipantResponse();
    }),
    MutePublishedTrack: method(MuteRoomTrackRequest, ({ room: name, identity, trackSid, muted }) => {
      const { room, participant } = find(name, identity);
      const info = participant.publisher.tracks.get(trackSid)?.info;
      if (!info) throw new TwirpError('not_found', 'track is not found');
      // Whoever muted themselves is not to be overheard at a server's wish.
      if (!muted) throw new TwirpError('failed_precondition', 'remote unmute not enabled');
      muteTrack(room, participant, trackSid, muted, { fromServer: true });
      return new MuteRoomTrackResponse({ track: info.clone() });
    }),
    UpdateParticipant: method(UpdateParticipantRequest, (request) => {
      const { room, participant } = find(request.room, request.identity);
      const attributes = mergeAttributes(participant.attributes, request.attributes);
      const oversized = oversizedProperty({ ...request, attributes });
      if (oversized) throw new TwirpError('invalid_argument', oversized);
      if (request.metadata !== '') participant.metadata = request.metadata;
      if (request.name !== '') participant.name = request.name;
      participant.attributes = attributes;
      if (request.permission) room.setPermission(participant, request.permission);
      room.broadcastUpdate(participant);
      return participant.info();
    }),
    UpdateSubscriptions: method(UpdateSubscriptionsRequest, (request) => {
      const { room, participant } = find(request.room, request.identity);
      const { trackSids, participantTracks, subscribe } = request;
      updateSubscription(
        room,
        participant,
        new UpdateSubscription({ trackSids, participantTracks, subscribe }),
      );
      return new UpdateSubscriptionsResponse();
    }),
    SendData: method(SendDataRequest, async (request) => {
      if (request.nonce.length !== 0 && request.nonce.length !== nonceBytes) {
        throw new TwirpError('invalid_argument', `a nonce has ${nonceBytes} bytes`);
      }
      await sendData(findRoom(request.room), request);
      return new SendDataResponse();
    }),
    UpdateRoomMetadata: method(UpdateRoomMetadataRequest, (request) => {
      requireWithin('metadataBytes', request.metadata, 'metadata');
      const room = findRoom(request.room);
      room.updateMetadata(request.metadata);
      return room.info();
    }),
    ForwardParticipant: method(ForwardParticipantRequest, (request) => refuseMove(isThere(request), request)),
    MoveParticipant: method(MoveParticipantRequest, (request) => refuseMove(isThere(request), request)),
    PerformRpc: method(PerformRpcRequest, async (request) => {
      const { destinationIdentity, method: name, payload, responseTimeoutMs } = request;
      if (destinationIdentity === '')
        throw new TwirpError('invalid_argument', 'destination identity is required');
      const { calls } = find(request.room, destinationIdentity).room;
      if (calls.waiting >= limits.serverCalls.value)
        throw new TwirpError('resource_exhausted', 'too many calls of this room wait for an answer');
      const timeout = responseTimeoutMs > 0 ? { responseTimeoutMs: timerMs(responseTimeoutMs) } : {};
      const call = calls.perform({ destinationIdentity, method: name, payload, ...timeout });
      return new PerformRpcResponse({ payload: await call.catch(throwCallError) });
    }),
  };
}

/** Answers as livekit-server does, which does not move participants either; only its cloud does. */
function refuseMove(
  isThere: boolean,
  { room, destinationRoom }: { room: string; destinationRoom: string },
): never {
  if (room === destinationRoom) {
    const argument = 'destination room cannot be the same as source room';
    throw new TwirpError('invalid_argument', argument, { argument });
  }
  if (!isThere) throw new TwirpError('unavailable', 'no response: there is no such participant');
  throw new TwirpError('unknown', 'not implemented: this server does not move participants');
}

/** The codes with which livekit-server reports the errors of RPC that are the protocol's own. */
const callErrorCodes = new Map<number, TwirpError['code']>([
  [rpcErrorCodes.connectionTimeout, 'canceled'],
  [rpcErrorCodes.responseTimeout, 'canceled'],
  [rpcErrorCodes.recipientDisconnected, 'unavailable'],
  [rpcErrorCodes.unsupportedMethod, 'invalid_argument'],
  [rpcErrorCodes.recipientNotFound, 'not_found'],
  [rpcErrorCodes.requestPayloadTooLarge, 'invalid_argument'],
  [rpcErrorCodes.unsupportedServer, 'unimplemented'],
  [rpcErrorCodes.unsupportedVersion, 'unimplemented'],
]);

function throwCallError(error: RpcError): never {
  const what = `RpcError ${error.code}: ${error.message}`;
  throw new TwirpError(
    callErrorCodes.get(error.code) ?? 'internal',
    error.data ? `${what}: ${error.data}` : what,
  );
}

/** @throws TwirpError `invalid_argument` when no room may have this name. */
export function requireRoomName(name: string): void {
  if (name === '') throw new TwirpError('invalid_argument', 'no room name');
  requireWithin('roomNameBytes', name, 'room name');
}

function requireWithin(limit: 'metadataBytes' | 'roomNameBytes', text: string, what: string): void {
  if (!isWithin(limit, text)) throw new TwirpError('invalid_argument', `${what} exceeds the size limit`);
}

async function sendData(room: Room, request: SendDataRequest): Promise<void> {
  const { data: payload, kind, destinationIdentities, destinationSids, topic, nonce } = request;
  const user = new UserPacket({ payload, destinationIdentities, destinationSids, nonce });
  if (topic !== undefined) user.topic = topic;
  const packet = new DataPacket({ kind, destinationIdentities, value: { case: 'user', value: user } });
  try {
    await room.serverData.send(packet, kind);
  } catch (error) {
    if (!(error instanceof CongestionError)) throw error;
    throw new TwirpError('resource_exhausted', 'those whom the data is for have too much of it unread');
  }
}
