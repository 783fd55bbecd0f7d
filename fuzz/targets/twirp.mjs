import {
  CreateRoomRequest,
  MuteRoomTrackRequest,
  Room,
  SendDataRequest,
  UpdateParticipantRequest,
  UpdateRoomMetadataRequest,
} from '@livekit/protocol';
import { method, twirpHandler } from '../../dist/server/api/twirp.js';
import { HttpError } from '../../dist/server/http-error.js';
import { check } from '../engine/target.mjs';

/** What a method does is tested elsewhere; here it says back what it read. */
const says = (type) => method(type, (request) => new Room({ name: request.name ?? request.room ?? '' }));
const methods = {
  CreateRoom: says(CreateRoomRequest),
  UpdateParticipant: says(UpdateParticipantRequest),
  MutePublishedTrack: says(MuteRoomTrackRequest),
  SendData: says(SendDataRequest),
  UpdateRoomMetadata: says(UpdateRoomMetadataRequest),
};
const grants = {
  roomCreate: true,
  roomJoin: true,
  roomList: true,
  roomAdmin: true,
  room: 'r',
  destinationRoom: 'r',
};
const handle = twirpHandler(
  { 'livekit.RoomService': methods },
  { verify: async () => ({ apiKey: 'key', grants }), paceOf: () => undefined },
);
const names = Object.keys(methods);

export default {
  about: "bodies of the room server's API: JSON and protobuf",
  maxBytes: 4096,
  words: [
    '"room":"r"',
    '"name":"',
    '"metadata":',
    '"attributes":{',
    '"permission":{',
    '"destinationSids":[',
    '1e999',
    'null',
  ],
  seeds: () => [
    Buffer.from('\0{"name":"r","emptyTimeout":10,"maxParticipants":5,"agents":[{"agentName":"a"}]}'),
    Buffer.from('\x02{"room":"r","identity":"ada","attributes":{"a":"b"},"permission":{"canPublish":true}}'),
    Buffer.from('\x06{"room":"r","data":"aGVsbG8=","kind":"RELIABLE","destinationIdentities":["ada"]}'),
  ],
  async run(input) {
    const choice = input[0] ?? 0;
    const request = {
      method: 'POST',
      path: `/twirp/livekit.RoomService/${names[(choice >> 1) % names.length]}`,
      headers: {
        authorization: 'Bearer token',
        'content-type': choice & 1 ? 'application/protobuf' : 'application/json',
      },
      query: new URLSearchParams(),
    };
    try {
      const read = await handle(request);
      const { status = 200, body } = await read(input.subarray(1));
      check(status < 500, `a body is understood or refused, not answered with ${status}: ${body}`);
    } catch (error) {
      if (!(error instanceof HttpError)) throw error;
    }
  },
};
