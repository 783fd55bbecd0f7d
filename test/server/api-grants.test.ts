import { AccessToken, type VideoGrant } from 'livekit-server-sdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { methodGrants } from '../../src/server/api/grants.js';
import { type RoomServer, startServer } from '../../src/server/index.js';
import { SignalPeer } from './signal-peer.js';

/** Every method of LiveKit's RoomService and AgentDispatchService, what allows it, and what it answers to that. */
const admin: VideoGrant = { roomAdmin: true, room: 'r' };
const methods: Record<string, { grant: VideoGrant; body?: object; status?: number; perRoom: boolean }> = {
  'RoomService/CreateRoom': { grant: { roomCreate: true }, body: { name: 'new' }, perRoom: false },
  'RoomService/ListRooms': { grant: { roomList: true }, perRoom: false },
  'RoomService/DeleteRoom': { grant: { roomCreate: true }, body: { room: 'new' }, perRoom: false },
  'RoomService/ListParticipants': { grant: admin, perRoom: true },
  'RoomService/GetParticipant': { grant: admin, body: { identity: 'ada' }, perRoom: true },
  'RoomService/UpdateParticipant': { grant: admin, body: { identity: 'ada', name: 'A' }, perRoom: true },
  'RoomService/MutePublishedTrack': { grant: admin, body: { identity: 'ada' }, status: 404, perRoom: true },
  'RoomService/UpdateSubscriptions': { grant: admin, body: { identity: 'ada' }, perRoom: true },
  'RoomService/SendData': { grant: admin, body: { data: '' }, perRoom: true },
  'RoomService/UpdateRoomMetadata': { grant: admin, perRoom: true },
  'RoomService/ForwardParticipant': {
    grant: { ...admin, destinationRoom: 'there' },
    body: { destinationRoom: 'there' },
    status: 503,
    perRoom: true,
  },
  'RoomService/MoveParticipant': {
    grant: { ...admin, destinationRoom: 'there' },
    body: { destinationRoom: 'there' },
    status: 503,
    perRoom: true,
  },
  'RoomService/PerformRpc': { grant: admin, status: 400, perRoom: true },
  'RoomService/RemoveParticipant': { grant: admin, body: { identity: 'ada' }, perRoom: true },
  'AgentDispatchService/CreateDispatch': { grant: admin, perRoom: true },
  'AgentDispatchService/ListDispatch': { grant: admin, perRoom: true },
  'AgentDispatchService/DeleteDispatch': { grant: admin, status: 404, perRoom: true },
};

describe('the server API', () => {
  let server: RoomServer;
  let ada: SignalPeer;

  beforeAll(async () => {
    server = await startServer({ port: 0 });
    ada = await SignalPeer.join(server.url, 'r', 'ada');
  });
  afterAll(() => {
    ada.close();
    return server.close();
  });

  async function call(method: string, grant: VideoGrant | undefined, body: object): Promise<Response> {
    const token = new AccessToken('devkey', 'secret', { identity: 'caller' });
    if (grant) token.addGrant(grant);
    return fetch(`${server.url.replace('ws', 'http')}/twirp/livekit.${method}`, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        ...(grant ? { Authorization: `Bearer ${await token.toJwt()}` } : {}),
      },
      body: JSON.stringify({ room: 'r', ...body }),
    });
  }

  /** All that the method does not need. */
  function othersThan(grant: VideoGrant): VideoGrant {
    const all: VideoGrant = {
      roomCreate: true,
      roomList: true,
      roomJoin: true,
      roomRecord: true,
      agent: true,
    };
    for (const name of Object.keys(grant) as (keyof VideoGrant)[]) delete all[name];
    return { ...all, room: 'r' };
  }

  test('has a grant for each of its methods', () => {
    for (const method of Object.keys(methods)) expect(methodGrants).toHaveProperty([`livekit.${method}`]);
  });

  describe.each(Object.entries(methods))('%s', (method, { grant, body = {}, status = 200, perRoom }) => {
    test.each<[string, VideoGrant | undefined]>([
      ['no token', undefined],
      ['a token without grants', {}],
      ['every other grant', othersThan(grant)],
      ...(perRoom
        ? ([['the grant for another room', { ...grant, room: 'other' }]] as [string, VideoGrant][])
        : []),
      ...(perRoom ? ([['the grant for no room', { ...grant, room: '' }]] as [string, VideoGrant][]) : []),
      ...(grant.destinationRoom
        ? ([['the grant for another destination', { ...grant, destinationRoom: 'x' }]] as [
            string,
            VideoGrant,
          ][])
        : []),
    ])('is refused with %s', async (_what, given) => {
      const response = await call(method, given, body);
      expect(response.status).toBe(401);
      expect(await response.json()).toMatchObject({ code: 'unauthenticated' });
    });

    test('is answered with the grant', async () => {
      expect((await call(method, grant, body)).status).toBe(status);
    });
  });

  test.each([
    ['a method that every object has', 'RoomService/constructor'],
    ['a method that does not exist', 'RoomService/Nothing'],
    ['a service that every object has', '__proto__/toString'],
    ['a service that does not exist', 'Nothing/CreateRoom'],
    ['a path below a method', 'RoomService/CreateRoom/more'],
  ])('%s is not found', async (_what, method) => {
    const response = await call(method, { roomCreate: true }, { name: 'x' });
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ code: 'bad_route' });
  });

  test.each<[string, string, VideoGrant, object]>([
    ['a room without a name', 'RoomService/CreateRoom', { roomCreate: true }, { name: '' }],
    [
      'a room with a name too long',
      'RoomService/CreateRoom',
      { roomCreate: true },
      { name: 'n'.repeat(257) },
    ],
    ['room metadata too long', 'RoomService/UpdateRoomMetadata', admin, { metadata: 'm'.repeat(64_001) }],
    ['a name too long', 'RoomService/UpdateParticipant', admin, { identity: 'bob', name: 'n'.repeat(257) }],
    [
      'metadata too long',
      'RoomService/UpdateParticipant',
      admin,
      { identity: 'bob', metadata: 'm'.repeat(64_001) },
    ],
    [
      'attributes too long',
      'RoomService/UpdateParticipant',
      admin,
      { identity: 'bob', attributes: { a: 'x'.repeat(64_000) } },
    ],
    [
      'a nonce of another size',
      'RoomService/SendData',
      admin,
      { nonce: Buffer.from('abc').toString('base64') },
    ],
    [
      'a dispatch to a room without a name',
      'AgentDispatchService/CreateDispatch',
      { roomAdmin: true },
      { room: '' },
    ],
  ])('%s is an invalid argument', async (_what, method, grant, body) => {
    const bob = await SignalPeer.join(server.url, 'r', 'bob');
    const response = await call(method, grant, body);
    expect(await response.json()).toMatchObject({ code: 'invalid_argument' });
    expect(response.status).toBe(400);
    bob.close();
  });

  test('a dispatch without a room opens none', async () => {
    await call('AgentDispatchService/CreateDispatch', { roomAdmin: true }, { room: '' });
    const { rooms } = (await (await call('RoomService/ListRooms', { roomList: true }, {})).json()) as {
      rooms: { name?: string }[];
    };
    expect(rooms.every(({ name }) => name)).toBe(true);
  });
});
