import { AccessToken, TrackSource } from 'livekit-server-sdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { type RoomServer, startServer } from '../../src/server/index.js';
import { SignalPeer, signClaims, signToken } from './signal-peer.js';

describe('who may come in', () => {
  let server: RoomServer;

  beforeAll(async () => {
    server = await startServer({ port: 0 });
  });
  afterAll(() => server.close());

  const join = { roomJoin: true, room: 'r' };
  const notYetValid = () => {
    const at = (seconds: number) => Math.floor(Date.now() / 1000) + seconds;
    const encode = (part: object) => Buffer.from(JSON.stringify(part)).toString('base64url');
    return `${encode({ alg: 'none' })}.${encode({ iss: 'devkey', sub: 'ada', exp: at(60), nbf: at(30), video: join })}.`;
  };

  /** What the same token gets from `/rtc/validate` and as the refusal of the WebSocket. */
  async function knock(token: string): Promise<{ status: number; text: string; upgradeStatus: number }> {
    const query = `access_token=${token}`;
    const response = await fetch(`${server.url.replace('ws', 'http')}/rtc/validate?${query}`);
    const socket = new WebSocket(`${server.url}/rtc?${query}`);
    const upgradeStatus = await new Promise<number>((resolve) => {
      socket.on('open', () => resolve(101));
      socket.on('unexpected-response', (_request, { statusCode = 0 }) => resolve(statusCode));
      socket.on('error', () => {});
    });
    socket.terminate();
    return { status: response.status, text: await response.text(), upgradeStatus };
  }

  test('a good token is let in', async () => {
    expect(await knock(await signToken('ada', join))).toEqual({
      status: 200,
      text: 'success',
      upgradeStatus: 101,
    });
  });

  test.each<[string, () => string | Promise<string>, number, RegExp]>([
    ['no token', () => '', 401, /permissions denied/],
    ['no JWT at all', () => 'nonsense', 401, /invalid authorization token/],
    ['another secret', () => signToken('ada', join, { secret: 'wrong' }), 401, /signature/],
    ['an unknown key', () => signToken('ada', join, { key: 'other' }), 401, /invalid API key: other/],
    [
      'a key that objects inherit',
      () => signToken('ada', join, { key: 'constructor' }),
      401,
      /invalid API key/,
    ],
    ['an expired token', () => signToken('ada', join, { ttl: -60 }), 401, /"exp"/],
    ['an unsigned token', notYetValid, 401, /invalid authorization token/],
    ['another algorithm', () => signClaims({ sub: 'ada', video: join }, { bits: 512 }), 401, /"alg"/],
    [
      'a grant of SIP that is no boolean',
      () => signClaims({ sub: 'ada', video: join, sip: { admin: 'no' } }),
      401,
      /sip/,
    ],
    ['no roomJoin grant', () => signToken('ada', { room: 'r' }), 401, /roomJoin/],
    ['no room', () => signToken('ada', { roomJoin: true }), 400, /room/],
  ])('%s is refused', async (_what, token, status, text) => {
    const answer = await knock(await token());
    expect(answer).toMatchObject({ status, upgradeStatus: status });
    expect(answer.text).toMatch(text);
  });

  test('a full room is closed to more, but not to those who return', async () => {
    const token = new AccessToken('devkey', 'secret', { identity: 'first' });
    token.addGrant({ roomJoin: true, room: 'small' });
    token.roomConfig = { maxParticipants: 1 } as never;
    const first = await SignalPeer.open(server.url, await token.toJwt());
    await first.next('join');
    const second = await knock(await signToken('second', { roomJoin: true, room: 'small' }));
    expect(second).toMatchObject({ status: 403, text: 'the room is full' });
    expect((await knock(await signToken('first', { roomJoin: true, room: 'small' }))).status).toBe(200);
    first.close();
  });

  test('an unknown path is 404, in HTTP and WebSocket', async () => {
    const url = server.url.replace('ws', 'http');
    expect((await fetch(`${url}/nothing`)).status).toBe(404);
    expect(await (await fetch(url)).text()).toBe('OK');
    expect((await fetch(`${url}/settings/regions`)).status).toBe(200);
    const socket = new WebSocket(`${server.url}/rtc/v9`);
    const status = await new Promise((resolve) => {
      socket.on('unexpected-response', (_request, { statusCode }) => resolve(statusCode));
      socket.on('error', () => {});
    });
    expect(status).toBe(404);
  });

  test('a worker needs the agent grant', async () => {
    const socket = new WebSocket(`${server.url}/agent`, {
      headers: { Authorization: `Bearer ${await signToken('', { room: 'r' })}` },
    });
    const status = await new Promise((resolve) => {
      socket.on('unexpected-response', (_request, { statusCode }) => resolve(statusCode));
      socket.on('error', () => {});
    });
    expect(status).toBe(401);
  });

  test('a token is replaced before it expires, by one with the same grants', async () => {
    const grant = { roomJoin: true, room: 'short-lived', canPublish: false };
    const peer = await SignalPeer.open(server.url, await signToken('ada', grant, { ttl: 2 }));
    await peer.next('join');
    const fresh = await SignalPeer.open(server.url, await peer.next('refreshToken'));
    const { participant } = await fresh.next('join');
    expect(participant).toMatchObject({
      identity: 'ada',
      permission: { canPublish: false, canSubscribe: true },
    });
    fresh.close();
  });

  test('what the token does not allow is not published', async () => {
    const peer = await SignalPeer.join(server.url, 'grants', 'ada', {
      canPublishSources: [TrackSource.CAMERA],
    });
    peer.send({ case: 'addTrack', value: { cid: 'c', source: TrackSource.MICROPHONE } as never });
    expect(await peer.next('requestResponse')).toMatchObject({ reason: 2, request: { case: 'addTrack' } });
    peer.close();
  });
});
