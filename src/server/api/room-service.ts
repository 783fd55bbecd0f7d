import {
  CreateRoomRequest,
  DataPacket,
  DeleteRoomRequest,
  DeleteRoomResponse,
  DisconnectReason,
  ListParticipantsRequest,
  ListParticipantsResponse,
  ListRoomsRequest,
  ListRoomsResponse,
  MuteRoomTrackRequest,
  MuteRoomTrackResponse,
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
import { recipientsOf } from '../data-relay.js';
import type { Participant } from '../participant.js';
import type { Room } from '../room.js';
import type { Rooms } from '../rooms.js';
import { mergeAttributes, muteTrack, updateSubscription } from '../signal-requests.js';
import { requireAdmin, requireCreate, requireList } from './grants.js';
import { method, TwirpError, type TwirpMethod } from './twirp.js';

/** The RoomService of LiveKit's server API. */
export function roomService(rooms: Rooms): Record<string, TwirpMethod> {
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

  return {
    CreateRoom: method(CreateRoomRequest, (request, access) => {
      requireCreate(access);
      if (request.name === '') throw new TwirpError('invalid_argument', 'no room name');
      return rooms.open(request.name, request).room.info();
    }),
    ListRooms: method(ListRoomsRequest, ({ names }, access) => {
      requireList(access);
      const wanted = [...rooms.byName.values()].filter(
        ({ name }) => names.length === 0 || names.includes(name),
      );
      return new ListRoomsResponse({ rooms: wanted.map((room) => room.info()) });
    }),
    DeleteRoom: method(DeleteRoomRequest, ({ room }, access) => {
      requireCreate(access);
      findRoom(room).close(DisconnectReason.ROOM_DELETED);
      return new DeleteRoomResponse();
    }),
    ListParticipants: method(ListParticipantsRequest, ({ room }, access) => {
      requireAdmin(access, room);
      const present = [...(rooms.byName.get(room)?.participants.values() ?? [])];
      return new ListParticipantsResponse({ participants: present.map((participant) => participant.info()) });
    }),
    GetParticipant: method(RoomParticipantIdentity, ({ room, identity }, access) => {
      requireAdmin(access, room);
      return find(room, identity).participant.info();
    }),
    RemoveParticipant: method(RoomParticipantIdentity, (request, access) => {
      requireAdmin(access, request.room);
      const { room, participant } = find(request.room, request.identity);
      room.remove(participant, DisconnectReason.PARTICIPANT_REMOVED);
      return new RemoveParticipantResponse();
    }),
    MutePublishedTrack: method(MuteRoomTrackRequest, ({ room: name, identity, trackSid, muted }, access) => {
      requireAdmin(access, name);
      const { room, participant } = find(name, identity);
      const info = participant.publisher.tracks.get(trackSid)?.info;
      if (!info) throw new TwirpError('not_found', 'track is not found');
      // Whoever muted themselves is not to be overheard at a server's wish.
      if (!muted) throw new TwirpError('failed_precondition', 'remote unmute not enabled');
      muteTrack(room, participant, trackSid, muted, { fromServer: true });
      return new MuteRoomTrackResponse({ track: info.clone() });
    }),
    UpdateParticipant: method(UpdateParticipantRequest, (request, access) => {
      requireAdmin(access, request.room);
      const { room, participant } = find(request.room, request.identity);
      if (request.metadata !== '') participant.metadata = request.metadata;
      if (request.name !== '') participant.name = request.name;
      participant.attributes = mergeAttributes(participant.attributes, request.attributes);
      if (request.permission) room.setPermission(participant, request.permission);
      room.broadcastUpdate(participant);
      return participant.info();
    }),
    UpdateSubscriptions: method(UpdateSubscriptionsRequest, (request, access) => {
      requireAdmin(access, request.room);
      const { room, participant } = find(request.room, request.identity);
      const { trackSids, participantTracks, subscribe } = request;
      updateSubscription(
        room,
        participant,
        new UpdateSubscription({ trackSids, participantTracks, subscribe }),
      );
      return new UpdateSubscriptionsResponse();
    }),
    SendData: method(SendDataRequest, (request, access) => {
      requireAdmin(access, request.room);
      sendData(findRoom(request.room), request);
      return new SendDataResponse();
    }),
    UpdateRoomMetadata: method(UpdateRoomMetadataRequest, (request, access) => {
      requireAdmin(access, request.room);
      const room = findRoom(request.room);
      room.updateMetadata(request.metadata);
      return room.info();
    }),
  };
}

function sendData(room: Room, request: SendDataRequest): void {
  const { data: payload, kind, destinationIdentities, destinationSids, topic, nonce } = request;
  const user = new UserPacket({ payload, destinationIdentities, destinationSids, nonce });
  if (topic !== undefined) user.topic = topic;
  const packet = new DataPacket({ kind, destinationIdentities, value: { case: 'user', value: user } });
  const bytes = packet.toBinary();
  for (const recipient of recipientsOf(packet, room.participants.values(), undefined)) {
    recipient.sendData(bytes, kind);
  }
}
