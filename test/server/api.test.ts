import { CreateRoomRequest, DataPacket_Kind, Room, TrackSource, TrackType } from '@livekit/protocol';
import { AccessToken, AgentDispatchClient, RoomServiceClient, type VideoGrant } from 'livekit-server-sdk';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { type RoomServer, startServer } from '../../src/server/index.js';
import { limits } from '../../src/server/limits.js';
import { DataOutbox } from '../../src/server/sfu/data-outbox.js';
import { SignalPeer } from './signal-peer.js';

describe('the server API, called by livekit-server-sdk', () => {
  let server: RoomServer;
  let rooms: RoomServiceClient;
  let dispatches: AgentDispatchClient;

  beforeAll(async () => {
    server = await startServer({ port: 0 });
    const url = server.url.replace('ws', 'http');
    rooms = new RoomServiceClient(url, 'devkey', 'secret');
    dispatches = new AgentDispatchClient(url, 'devkey', 'secret');
  });
  afterAll(() => server.close());

  async function post(method: string, grant: VideoGrant, type: string, body: string | Uint8Array) {
    const token = new AccessToken('devkey', 'secret');
    token.addGrant(grant);
    return fetch(`${server.url.replace('ws', 'http')}/twirp/livekit.RoomService/${method}`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${await token.toJwt()}`, 'Content-Type': type },
      body: typeof body === 'string' ? body : Buffer.from(body),
    });
  }

  test('rooms are created, listed and deleted', async () => {
    const created = await rooms.createRoom({
      name: 'lobby',
      metadata: 'red',
      maxParticipants: 2,
      emptyTimeout: 60,
    });
    expect(created).toMatchObject({ name: 'lobby', metadata: 'red', maxParticipants: 2, emptyTimeout: 60 });
    expect((await rooms.createRoom({ name: 'lobby' })).sid).toBe(created.sid);
    expect((await rooms.listRooms(['lobby', 'elsewhere'])).map(({ name }) => name)).toEqual(['lobby']);
    expect((await rooms.updateRoomMetadata('lobby', 'blue')).metadata).toBe('blue');
    await rooms.deleteRoom('lobby');
    expect(await rooms.listRooms(['lobby'])).toEqual([]);
    await expect(rooms.deleteRoom('lobby')).rejects.toMatchObject({ status: 404, code: 'not_found' });
  });

  test('participants are listed, updated and removed', async () => {
    const peer = await SignalPeer.join(server.url, 'people', 'ada');
    expect((await rooms.listParticipants('people')).map(({ identity }) => identity)).toEqual(['ada']);
    await rooms.updateParticipant('people', 'ada', {
      name: 'Ada',
      metadata: 'm',
      attributes: { mood: 'calm' },
      permission: { canSubscribe: true, canPublish: false, canPublishData: true },
    });
    const { participants } = await peer.next('update');
    expect(participants[0]).toMatchObject({ name: 'Ada', metadata: 'm', attributes: { mood: 'calm' } });
    expect(participants[0]?.permission?.canPublish).toBe(false);
    expect((await rooms.getParticipant('people', 'ada')).name).toBe('Ada');
    await rooms.removeParticipant('people', 'ada');
    expect((await peer.next('leave')).reason).toBe(4);
    await peer.closed;
    await expect(rooms.getParticipant('people', 'ada')).rejects.toMatchObject({ code: 'not_found' });
  });

  test('a published track is muted, and never unmuted from afar', async () => {
    const peer = await SignalPeer.join(server.url, 'mute', 'ada');
    const sid = await peer.publish({ cid: 'c', type: TrackType.AUDIO, source: TrackSource.MICROPHONE });
    expect(await rooms.mutePublishedTrack('mute', 'ada', sid, true)).toMatchObject({ sid, muted: true });
    expect(await peer.next('mute')).toMatchObject({ sid, muted: true });
    await expect(rooms.mutePublishedTrack('mute', 'ada', sid, false)).rejects.toMatchObject({
      code: 'failed_precondition',
    });
    await expect(rooms.mutePublishedTrack('mute', 'ada', 'TR_none', true)).rejects.toMatchObject({
      code: 'not_found',
    });
    peer.close();
  });

  test('data goes to nobody in an empty room, and to no room at all with an error', async () => {
    await rooms.createRoom({ name: 'silent' });
    await rooms.sendData('silent', Buffer.from('x'), DataPacket_Kind.RELIABLE, { topic: 't' });
    await expect(
      rooms.sendData('nowhere', Buffer.from('x'), DataPacket_Kind.RELIABLE, {}),
    ).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  test('reliable data waits for slow readers, and closing the room answers the requests that wait', async () => {
    const ada = await SignalPeer.join(server.url, 'slow', 'ada');
    const congested = vi.spyOn(DataOutbox.prototype, 'isCongested', 'get').mockReturnValue(true);
    onTestFinished(() => congested.mockRestore());
    const answers: string[] = [];
    const send = async (what: string, kind: DataPacket_Kind) => {
      const sent = rooms.sendData('slow', Buffer.from('x'), kind, {});
      answers.push(
        await sent.then(
          () => what,
          ({ code }: { code: string }) => `${what}: ${code}`,
        ),
      );
    };
    const waiting = send('reliable', DataPacket_Kind.RELIABLE);
    await send('lossy', DataPacket_Kind.LOSSY);
    expect(answers).toEqual(['lossy']);
    congested.mockReturnValue(false);
    await waiting;
    expect(answers).toEqual(['lossy', 'reliable']);
    congested.mockReturnValue(true);
    const late = send('late', DataPacket_Kind.RELIABLE);
    await send('lossy', DataPacket_Kind.LOSSY);
    await rooms.deleteRoom('slow');
    await late;
    expect(answers.at(-1)).toBe('late: resource_exhausted');
    ada.close();
  });

  test('agents are dispatched by name, listed and withdrawn', async () => {
    const { id } = await dispatches.createDispatch('office', 'helper', { metadata: 'be kind' });
    expect(await dispatches.getDispatch(id, 'office')).toMatchObject({
      agentName: 'helper',
      metadata: 'be kind',
    });
    await dispatches.deleteDispatch(id, 'office');
    expect((await dispatches.listDispatch('office')).map(({ agentName }) => agentName)).toEqual(['']);
  });

  test('protobuf bodies are answered with protobuf', async () => {
    const request = new CreateRoomRequest({ name: 'binary' });
    const response = await post(
      'CreateRoom',
      { roomCreate: true },
      'application/protobuf',
      request.toBinary(),
    );
    expect(Room.fromBinary(new Uint8Array(await response.arrayBuffer())).name).toBe('binary');
  });

  test.each([
    ['CreateRoom', {}, '{"name":"x"}', 401, 'unauthenticated'],
    ['ListParticipants', { roomAdmin: true, room: 'other' }, '{"room":"x"}', 401, 'unauthenticated'],
    ['CreateRoom', { roomCreate: true }, '{"name":""}', 400, 'invalid_argument'],
    ['CreateRoom', { roomCreate: true }, '{', 400, 'malformed'],
    ['Dance', { roomCreate: true }, '{}', 404, 'bad_route'],
  ])('%s with grants %j and body %s is refused', async (name, grant, body, status, code) => {
    const response = await post(name, grant, 'application/json', body);
    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ code });
  });

  test('a room may stay open for longer than a timer of Node.js takes', async () => {
    const names = ['for months', 'for a second'];
    const left = async () => (await rooms.listRooms(names)).map(({ name }) => name).sort();
    const open = () =>
      Promise.all([
        rooms.createRoom({ name: names[0]!, emptyTimeout: 4_000_000, departureTimeout: 4_000_000 }),
        rooms.createRoom({ name: names[1]!, emptyTimeout: 1, departureTimeout: 1 }),
      ]);
    await open();
    await expect.poll(left, { timeout: 5_000 }).toEqual(['for months']);
    await open();
    for (const name of names) {
      const peer = await SignalPeer.join(server.url, name, 'ada');
      peer.send({ case: 'leave', value: {} as never });
      await peer.closed;
    }
    await expect.poll(left, { timeout: 5_000 }).toEqual(['for months']);
  });

  test('a client that does not read is cut off before it costs the memory of all', async () => {
    const { announcedBytesBurst } = limits as { announcedBytesBurst: { value: number } };
    const before = announcedBytesBurst.value;
    // So much at once would wait otherwise.
    announcedBytesBurst.value = 32 * 2 ** 20;
    const peer = await SignalPeer.join(server.url, 'slow reader', 'slow');
    announcedBytesBurst.value = before;
    peer.pause();
    const metadata = 'm'.repeat(60_000);
    for (let i = 0; i < 300; i++) await rooms.updateRoomMetadata('slow reader', `${metadata}${i}`);
    peer.resume();
    await peer.closed;
  });
});
