import { gzipSync } from 'node:zlib';
import { ClientInfo, JoinRequest, TrackSource, WrappedJoinRequest } from '@livekit/protocol';
import type { VideoGrant } from 'livekit-server-sdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RoomServer, startServer } from '../../src/server/index.js';
import { joinStatus, SignalPeer, signClaims, signToken } from './signal-peer.js';

const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

function joinRequest(request: ConstructorParameters<typeof JoinRequest>[0]): Record<string, string> {
  const bytes = gzipSync(new JoinRequest(request).toBinary());
  const wrapped = new WrappedJoinRequest({ joinRequest: bytes, compression: 1 });
  return { join_request: Buffer.from(wrapped.toBinary()).toString('base64url') };
}

describe('a join with values that nobody should send', () => {
  let server: RoomServer;

  beforeAll(async () => {
    server = await startServer({ port: 0, resumeWindowMs: 50 });
  });
  afterAll(() => server.close());

  /** Whoever was in the room is served as before, and others can still join it. */
  async function expectRoomToWork(room: string, ada: SignalPeer): Promise<void> {
    await ada.settled();
    const bob = await SignalPeer.join(server.url, room, 'bob');
    expect(bob.join?.otherParticipants.map(({ identity }) => identity)).toContain('ada');
    bob.send({ case: 'leave', value: {} as never });
    await ada.until(
      'update',
      ({ participants }) => participants[0]?.identity === 'bob' && participants[0].state === 3,
    );
    ada.close();
  }

  test.each<[string, Record<string, string>]>([
    ['a capability by number', { capabilities: '0' }],
    ['a capability that every object has', { capabilities: 'constructor,toString,__proto__' }],
    ['a client protocol that is no int32', { client_protocol: '99999999999' }],
    ['a client protocol that is no integer', { client_protocol: '1e400' }],
    ['attributes that are no JSON', { attributes: 'AAAA' }],
    ['attributes that are no text', { attributes: base64({ a: 5, b: { c: 1 } }) }],
    ['a line feed in the version', { version: 'x\n2026 error server: forged', sdk: '\u001b[2J' }],
  ])('%s is ignored', async (what, query) => {
    const ada = await SignalPeer.join(server.url, what, 'ada');
    const odd = await SignalPeer.join(server.url, what, 'odd', {}, query);
    expect(odd.join?.participant).toMatchObject({ identity: 'odd', capabilities: [], attributes: {} });
    odd.drop();
    await ada.until(
      'update',
      ({ participants }) => participants[0]?.identity === 'odd' && participants[0].state === 3,
    );
    await expectRoomToWork(what, ada);
  });

  test('an SDK that is not known yet joins on one connection', async () => {
    const query = joinRequest({
      clientInfo: new ClientInfo({ sdk: 999 as never, capabilities: [77, 77] as never }),
    });
    const token = await signToken('new', { roomJoin: true, room: 'new sdk' });
    const peer = await SignalPeer.open(server.url, token, query, '/rtc/v1');
    expect((await peer.next('join')).participant?.identity).toBe('new');
    peer.close();
  });

  test.each<[string, Record<string, unknown>]>([
    ['attributes that are no text', { attributes: { a: 5 } }],
    ['attributes that are a list', { attributes: ['a'] }],
    ['metadata that is no text', { metadata: 5 }],
    ['a name that is no text', { name: {} }],
    ['grants that are no object', { video: 'all' }],
    ['a grant that is no boolean', { video: { roomJoin: true, room: 'r', canPublish: 'no' } }],
    ['sources that are no list', { video: { roomJoin: true, room: 'r', canPublishSources: 'camera' } }],
    ['a room configuration that is none', { roomConfig: { emptyTimeout: -1 } }],
    ['an expiry that is no number', { exp: 'never' }],
  ])('a token with %s is refused', async (_what, claims) => {
    const token = await signClaims({ sub: 'odd', video: { roomJoin: true, room: 'r' }, ...claims });
    expect(await joinStatus(server.url, token)).toBe(401);
  });

  test.each<[string, Record<string, unknown>, object]>([
    ['a kind that every object has', { kind: 'constructor' }, { kind: 0 }],
    ['a kind by number', { kind: '4' }, { kind: 0 }],
    ['a kind that does not exist', { kind: 'ghost' }, { kind: 0 }],
  ])('a token with %s is one of a standard participant', async (what, claims, expected) => {
    const ada = await SignalPeer.join(server.url, what, 'ada');
    const token = await signClaims({ sub: 'odd', video: { roomJoin: true, room: what }, ...claims });
    const odd = await SignalPeer.open(server.url, token);
    expect((await odd.next('join')).participant).toMatchObject(expected);
    odd.close();
    await expectRoomToWork(what, ada);
  });

  test('a source that every object has allows nothing', async () => {
    const ada = await SignalPeer.join(server.url, 'sources', 'ada');
    const video = { roomJoin: true, room: 'sources', canPublishSources: ['constructor'] };
    const odd = await SignalPeer.open(server.url, await signClaims({ sub: 'odd', video }));
    expect((await odd.next('join')).participant?.permission?.canPublishSources).toEqual([
      TrackSource.UNKNOWN,
    ]);
    odd.send({ case: 'addTrack', value: { cid: 'c', source: TrackSource.MICROPHONE } as never });
    expect(await odd.next('requestResponse')).toMatchObject({ reason: 2 });
    odd.close();
    await expectRoomToWork('sources', ada);
  });

  describe('what a client asks for itself', () => {
    const attributes = { role: 'admin' };

    async function join(grant: VideoGrant, path: string): Promise<SignalPeer | number> {
      const video = { roomJoin: true, room: 'own', ...grant };
      const token = await signClaims({
        sub: 'ada',
        video,
        metadata: 'signed',
        attributes: { role: 'guest', team: 'a' },
      });
      const query =
        path === '/rtc'
          ? { attributes: base64(attributes) }
          : joinRequest({ metadata: 'own', participantAttributes: { ...attributes, team: '' } });
      const status = await joinStatus(server.url, token, query, path);
      return status === 101 ? SignalPeer.open(server.url, token, query, path) : status;
    }

    test('is refused where it is too much together with what the token says', async () => {
      const claims = {
        sub: 'ada',
        video: { roomJoin: true, room: 'together', canUpdateOwnMetadata: true },
        attributes: { a: 'x'.repeat(40_000) },
      };
      const token = await signClaims(claims);
      const status = (bytes: number) =>
        joinStatus(server.url, token, { attributes: base64({ b: 'y'.repeat(bytes) }) });
      expect(await status(20_000)).toBe(101);
      expect(await status(30_000)).toBe(400);
    });

    test.each(['/rtc', '/rtc/v1'])('on %s is refused without the grant for it', async (path) => {
      expect(await join({}, path)).toBe(401);
    });

    test.each(['/rtc', '/rtc/v1'])('on %s is added with the grant, and removes nothing', async (path) => {
      const peer = (await join({ canUpdateOwnMetadata: true }, path)) as SignalPeer;
      expect((await peer.next('join')).participant).toMatchObject({
        attributes: { role: 'admin', team: 'a' },
        metadata: path === '/rtc' ? 'signed' : 'own',
      });
      peer.close();
    });
  });

  test.each<[string, Record<string, unknown>, number]>([
    ['an identity of 256 bytes', { sub: 'i'.repeat(256) }, 101],
    ['an identity of 257 bytes', { sub: 'i'.repeat(257) }, 400],
    ['an identity of 129 characters in 258 bytes', { sub: 'é'.repeat(129) }, 400],
    ['a room name of 257 bytes', { video: { roomJoin: true, room: 'r'.repeat(257) } }, 400],
    [
      '30 KB of metadata and attributes',
      { metadata: 'm'.repeat(15_000), attributes: { a: 'x'.repeat(15_000) } },
      101,
    ],
    ['as much as is allowed', { metadata: 'm'.repeat(64_000), attributes: { a: 'x'.repeat(63_000) } }, 101],
    ['a clock that is 20 s behind', { exp: Math.floor(Date.now() / 1000) - 20 }, 101],
    ['a clock that is 20 s ahead', { nbf: Math.floor(Date.now() / 1000) + 20 }, 101],
    ['an expiry a minute and a half ago', { exp: Math.floor(Date.now() / 1000) - 90 }, 401],
    ['a start in a minute and a half', { nbf: Math.floor(Date.now() / 1000) + 90 }, 401],
    ['no expiry at all', { exp: undefined }, 401],
  ])('of tokens with %s those within the limits are let in', async (_what, claims, status) => {
    const token = await signClaims({ sub: 'sized', video: { roomJoin: true, room: 'sized' }, ...claims });
    expect(await joinStatus(server.url, token)).toBe(status);
  });
});
