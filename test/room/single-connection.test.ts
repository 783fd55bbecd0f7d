import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { JoinResponse } from '@livekit/protocol';
import { AccessToken } from 'livekit-server-sdk';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { WebSocketServer } from 'ws';
import { startServer } from '../../src/server/index.js';
import { say } from '../signal/fake-server.js';
import { type RemoteAudioTrack, Room } from '../support/engine.js';
import { describeWith } from '../support/parts.js';
import { type Guest, House } from './house.js';

/** Resolves when the track is audible. */
async function hears(track: unknown): Promise<void> {
  for await (const { data } of (track as RemoteAudioTrack).frames({ sampleRate: 16_000, numChannels: 1 }))
    if (data.some((sample) => Math.abs(sample) > 1_000)) return;
  throw new Error('the track ended before it was heard');
}

const bothSides = ({ room }: Guest) => {
  const { publisher, subscriber } = room.stats();
  return [publisher?.state, subscriber?.state];
};

describeWith(['livekit-server'], 'a room with one peer connection on livekit-server', () => {
  let house: House;
  beforeAll(async () => {
    house = await House.open();
  });
  afterAll(() => house?.close());

  it('hears more tracks than it had sections for, and one with two connections hears it', async () => {
    const ada = await house.join('many', 'ada', { singlePeerConnection: true, waitFor: 'media' });
    const bob = await house.join('many', 'bob', { singlePeerConnection: false, waitFor: 'media' });
    expect(bothSides(ada)).toEqual(['connected', undefined]);
    expect(bothSides(bob)).toEqual(['connected', 'connected']);
    const names = ['1', '2', '3', '4', '5'];
    for (const name of names) await bob.room.localParticipant.publishAudio(house.tone(440), { name });
    await ada.room.localParticipant.publishAudio(house.tone(660), { name: 'ada' });
    for (const name of names) {
      const { track } = await ada.event('trackSubscribed', ({ publication }) => publication.name === name);
      await hears(track);
    }
    await hears((await bob.event('trackSubscribed')).track);
  });

  it('publishes on the section of a track that it took back', async () => {
    const ada = await house.join('reuse', 'ada', { singlePeerConnection: true, waitFor: 'media' });
    const bob = await house.join('reuse', 'bob', { singlePeerConnection: true });
    for (const name of ['first', 'second', 'third']) {
      const published = ada.room.localParticipant;
      const publication = await published.publishAudio(house.tone(440), { name });
      const { track } = await bob.event('trackSubscribed', (event) => event.publication.name === name);
      await hears(track);
      await published.unpublish(publication.sid);
      await bob.event('trackUnpublished', (event) => event.publicationSid === publication.sid);
    }
  });

  it('comes back over TCP when the server is to offer nothing else', async () => {
    const ada = await house.join('tcp', 'ada', { singlePeerConnection: true, waitFor: 'media' });
    expect(ada.room.stats().publisher?.pair?.remote.protocol).toBe('udp');
    ada.room.simulate('forceTcp');
    await ada.event('reconnected');
    await expect.poll(() => ada.room.stats().publisher?.pair?.remote.protocol).toBe('tcp');
  });
});

describe('a room with one peer connection on offhook dev', () => {
  it('hears others and is heard, and resumes and reconnects', async () => {
    const server = await startServer({ port: 0 });
    const rooms = [new Room({ name: 'ada' }), new Room({ name: 'bob' })];
    try {
      const events: string[] = [];
      rooms[0]!.onEvent = ({ type }) => events.push(type);
      for (const room of rooms) {
        const token = new AccessToken('devkey', 'secret', { identity: room.timeline.name });
        token.addGrant({ roomJoin: true, room: 'room' });
        await room.connect(server.url, await token.toJwt(), {
          iceServers: [],
          singlePeerConnection: true,
          waitFor: 'media',
        });
        expect(room.stats().subscriber).toBeUndefined();
      }
      for (const scenario of ['signalReconnect', 'fullReconnect'] as const) {
        events.length = 0;
        rooms[0]!.simulate(scenario);
        await expect.poll(() => events, { timeout: 10_000 }).toContain('reconnected');
        expect(rooms[0]!.stats().publisher?.state).toBe('connected');
      }
    } finally {
      for (const room of rooms) await room.disconnect();
      await server.close();
    }
  });
});

describe('a server without /rtc/v1', () => {
  const paths: string[] = [];
  const http = createServer();
  const sockets = new WebSocketServer({ noServer: true });
  let url: string;
  beforeAll(async () => {
    http.on('upgrade', (request, socket, head) => {
      const { pathname } = new URL(request.url ?? '', 'http://server');
      paths.push(pathname);
      if (pathname !== '/rtc') {
        socket.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n');
        return;
      }
      sockets.handleUpgrade(request, socket, head, (webSocket) => {
        const value = new JoinResponse({
          participant: { sid: 'PA_me', identity: 'me' },
          room: { name: 'room' },
        });
        say(webSocket, { case: 'join', value });
      });
    });
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    url = `ws://127.0.0.1:${(http.address() as AddressInfo).port}`;
  });
  afterEach(() => {
    paths.length = 0;
  });
  afterAll(() => {
    for (const socket of sockets.clients) socket.terminate();
    http.close();
  });

  async function join(singlePeerConnection: boolean): Promise<void> {
    const token = new AccessToken('key', 'secret', { identity: 'me' });
    token.addGrant({ roomJoin: true, room: 'room' });
    const room = new Room();
    await room.connect(url, await token.toJwt(), { iceServers: [], singlePeerConnection });
    expect(room.stats().subscriber?.state).toBe('new');
    await room.disconnect();
  }

  it('is joined with two peer connections, and asked once', async () => {
    await join(false);
    expect(paths.splice(0)).toEqual(['/rtc']);
    await join(true);
    expect(paths.splice(0)).toEqual(['/rtc/v1', '/rtc']);
    await join(true);
    expect(paths).toEqual(['/rtc']);
  });
});
