import { AddTrackRequest, TrackType } from '@livekit/protocol';
import { RoomServiceClient, type VideoGrant } from 'livekit-server-sdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RoomServer, startServer } from '../../src/server/index.js';
import { startLivekitServer } from '../support/livekit-server.mjs';
import { describeWith } from '../support/parts.js';
import { type Program, startParticipant } from '../support/program.mjs';
import { makeToken } from '../support/token.mjs';
import { SignalPeer, signClaims, signToken } from './signal-peer.js';

interface Server {
  url: string;
  apiKey: string;
  apiSecret: string;
}

// What the room server answers is what livekit-server answers, asked in the same test.
describeWith(['livekit-server', 'native engine'], 'beside livekit-server', () => {
  let livekit: Awaited<ReturnType<typeof startLivekitServer>>;
  let own: RoomServer;
  let servers: Record<'livekit-server' | 'offhook', Server>;

  beforeAll(async () => {
    livekit = await startLivekitServer();
    own = await startServer({ port: 0 });
    servers = {
      'livekit-server': livekit,
      offhook: { url: own.url, apiKey: 'devkey', apiSecret: 'secret' },
    };
  }, 60_000);
  afterAll(async () => {
    await own.close();
    await livekit.stop();
  });

  /** Status and body of a call of the API. */
  async function call({ url, apiKey, apiSecret }: Server, method: string, grant: VideoGrant, body: object) {
    const token = await signToken('', grant, { key: apiKey, secret: apiSecret });
    const response = await fetch(`${url.replace('ws', 'http')}/twirp/livekit.RoomService/${method}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return { status: response.status, ...((await response.json()) as { code?: string; payload?: string }) };
  }

  test('participants are counted alike: hidden ones too, agents and recorders not', async () => {
    const rooms: Record<string, [identity: string, claims: object, grant: VideoGrant][]> = {
      'one hidden': [['ghost', {}, { hidden: true }]],
      'one hidden, one not': [
        ['ghost', {}, { hidden: true }],
        ['ada', {}, {}],
      ],
      'a hidden recorder': [
        ['recorder', {}, { hidden: true, recorder: true }],
        ['ada', {}, {}],
      ],
      'an agent': [
        ['agent', { kind: 'agent' }, {}],
        ['ada', {}, {}],
      ],
      'a telephone': [
        ['phone', { kind: 'sip' }, {}],
        ['ada', {}, {}],
      ],
    };
    const peers: SignalPeer[] = [];
    const counts: Record<string, () => Promise<Record<string, number>>> = {};
    for (const [name, server] of Object.entries(servers)) {
      for (const [room, members] of Object.entries(rooms)) {
        for (const [identity, claims, grant] of members) {
          const video = { roomJoin: true, room, ...grant };
          const all = { iss: server.apiKey, sub: identity, video, ...claims };
          const peer = await SignalPeer.open(server.url, await signClaims(all, { secret: server.apiSecret }));
          await peer.next('join');
          peers.push(peer);
        }
      }
      const api = new RoomServiceClient(server.url.replace('ws', 'http'), server.apiKey, server.apiSecret);
      counts[name] = async () =>
        Object.fromEntries((await api.listRooms()).map((room) => [room.name, room.numParticipants]));
    }
    const expected = {
      'one hidden': 1,
      'one hidden, one not': 2,
      'a hidden recorder': 1,
      'an agent': 1,
      'a telephone': 2,
    };
    // livekit-server counts every few seconds.
    await expect.poll(counts['livekit-server']!, { timeout: 20_000 }).toEqual(expected);
    expect(await counts.offhook!()).toEqual(expected);
    for (const peer of peers) peer.close();
  }, 40_000);

  describe.each(['livekit-server', 'offhook'] as const)('%s: PerformRpc', (name) => {
    const admin = { roomAdmin: true, room: 'calls' };
    let ada: Program;

    beforeAll(async () => {
      ada = startParticipant('native');
      const server = servers[name];
      await ada.call('connect', { url: server.url, token: await makeToken(server, 'calls', 'ada') });
    });
    afterAll(() => ada.stop());

    test('calls a method of a participant and answers what that does', async () => {
      const body = { room: 'calls', destinationIdentity: 'ada', method: 'echo', payload: 'hello' };
      // A participant whose data channel is not open yet cannot be called.
      await expect
        .poll(() => call(servers[name], 'PerformRpc', admin, body), { timeout: 10_000 })
        .toEqual({ status: 200, payload: 'hello' });
    }, 20_000);

    test.each<[string, object, number, string]>([
      ['a method that is not there', { method: 'nothing' }, 400, 'invalid_argument'],
      ['a payload that is too large', { payload: 'p'.repeat(15_361) }, 400, 'invalid_argument'],
      ['no participant', { destinationIdentity: '' }, 400, 'invalid_argument'],
    ])('of %s fails', async (_what, changed, status, code) => {
      const body = { room: 'calls', destinationIdentity: 'ada', method: 'echo', payload: 'p', ...changed };
      expect(await call(servers[name], 'PerformRpc', admin, body)).toMatchObject({ status, code });
    });
  });

  test.each(['MoveParticipant', 'ForwardParticipant'])('%s is refused by both alike', async (method) => {
    const video = { roomAdmin: true, room: 'from', destinationRoom: 'to' };
    const move = { room: 'from', identity: 'ada', destinationRoom: 'to' };
    const cases: Record<string, [grant: VideoGrant, body: object, expected: object]> = {
      'a participant': [video, move, { status: 500, code: 'unknown' }],
      nobody: [video, { ...move, identity: 'nobody' }, { status: 503, code: 'unavailable' }],
      'a room that is not there': [
        { ...video, room: 'none' },
        { ...move, room: 'none' },
        { status: 503, code: 'unavailable' },
      ],
      'into the same room': [
        { ...video, destinationRoom: 'from' },
        { ...move, destinationRoom: 'from' },
        { status: 400, code: 'invalid_argument' },
      ],
      'into no room': [
        { ...video, destinationRoom: '' },
        { ...move, destinationRoom: '' },
        { status: 500, code: 'unknown' },
      ],
      'into another than the token says': [
        video,
        { ...move, destinationRoom: 'else' },
        { status: 401, code: 'unauthenticated' },
      ],
    };
    for (const [name, server] of Object.entries(servers)) {
      const keys = { key: server.apiKey, secret: server.apiSecret };
      const token = await signToken('ada', { roomJoin: true, room: 'from' }, keys);
      const peer = await SignalPeer.open(server.url, token);
      await peer.next('join');
      const calls = Object.entries(cases).map(async ([what, [grant, body, expected]]) =>
        expect(await call(server, method, grant, body), `${name}: ${what}`).toMatchObject(expected),
      );
      await Promise.all(calls);
      peer.close();
    }
  });

  test('a token may say more of its bearer than a client may', async () => {
    const claims = {
      sub: 'ada',
      name: 'n'.repeat(300),
      metadata: 'm'.repeat(70_000),
      attributes: { a: 'x'.repeat(70_000) },
    };
    for (const [name, { url, apiKey: iss, apiSecret: secret }] of Object.entries(servers)) {
      const video = { roomJoin: true, room: 'signed' };
      const peer = await SignalPeer.open(url, await signClaims({ iss, video, ...claims }, { secret }));
      const { participant } = await peer.next('join');
      expect(participant?.metadata.length, name).toBe(70_000);
      peer.close();
    }
  });

  test('the codec of a track is announced once media is negotiated, not when it is published', async () => {
    const seen: Record<string, object> = {};
    for (const [name, server] of Object.entries(servers)) {
      const keys = { key: server.apiKey, secret: server.apiSecret };
      const grant = { roomJoin: true, room: 'codecs' };
      const watcher = await SignalPeer.open(server.url, await signToken('watcher', grant, keys));
      await watcher.next('join');
      const published = [];
      for (const request of [
        { cid: 'a', type: TrackType.AUDIO },
        { cid: 'b', type: TrackType.AUDIO, disableRed: true },
        { cid: 'c', type: TrackType.VIDEO },
        { cid: 'd', type: TrackType.VIDEO, simulcastCodecs: [{ codec: 'vp8', cid: 'd' }] },
      ]) {
        watcher.send({ case: 'addTrack', value: new AddTrackRequest(request) });
        published.push((await watcher.next('trackPublished')).track?.mimeType);
      }
      const ada = startParticipant('native');
      try {
        await ada.call('connect', { url: server.url, token: await makeToken(server, 'codecs', 'ada') });
        await ada.call('publishTone', { hz: 440 });
        const announced = async (): Promise<string> => {
          const { participants } = await watcher.next('update');
          return (
            participants.find(({ identity, tracks }) => identity === 'ada' && tracks.length > 0)?.tracks[0]
              ?.mimeType ?? announced()
          );
        };
        seen[name] = { published, audio: await announced() };
      } finally {
        await ada.stop();
        watcher.close();
      }
    }
    expect(seen['livekit-server']).toEqual({ published: ['', '', '', ''], audio: 'audio/red' });
    expect(seen.offhook).toEqual(seen['livekit-server']);
  }, 60_000);

  test('a call of somebody who leaves fails, and its answer reaches nobody in the room', async () => {
    const server = servers.offhook;
    const admin = { roomAdmin: true, room: 'leaving' };
    const bob = await SignalPeer.join(server.url, 'leaving', 'bob');
    const body = { room: 'leaving', destinationIdentity: 'bob', method: 'echo', payload: '' };
    const called = call(server, 'PerformRpc', admin, body);
    // The call is under way when a later request is answered.
    await call(server, 'ListParticipants', admin, { room: 'leaving' });
    bob.send({ case: 'leave', value: {} as never });
    expect(await called).toMatchObject({ status: 503, code: 'unavailable' });
    expect(await call(server, 'PerformRpc', admin, body)).toMatchObject({ status: 404, code: 'not_found' });
  });
});
