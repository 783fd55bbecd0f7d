import { setTimeout as delay } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import {
  AddTrackRequest,
  ClientInfo,
  ClientInfo_Capability,
  JoinRequest,
  SignalRequest,
  SubscriptionPermission,
  TrackPermission,
  UpdateLocalAudioTrack,
  UpdateParticipantMetadata,
  UpdateTrackSettings,
  WrappedJoinRequest,
  WrappedJoinRequest_Compression,
} from '@livekit/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { limits } from '../../src/server/limits.js';
import { ServerProcess } from '../support/server-process.js';
import { joinStatus, SignalPeer, signToken } from './signal-peer.js';

// Few bytes or few requests that cost others much: their connection, their memory, or the one thread.

let server: ServerProcess;

beforeAll(async () => {
  server = await ServerProcess.start();
});
afterAll(() => server.stop());

const join = (room: string, identity: string, grant = {}) =>
  SignalPeer.join(server.url, room, identity, grant);

describe('what a client says of a track', () => {
  test('reaches others without what nobody knows, and short', async () => {
    const ada = await join('track', 'ada');
    const witness = await join('track', 'witness');
    const manyNumbers = Array.from({ length: 50_000 }, (_, i) => i);
    const sid = await ada.publish({
      cid: 'c',
      audioFeatures: manyNumbers as never,
      layers: [{ quality: 0, width: 1, height: 1, bitrate: 1 }] as never,
    });
    ada.send({
      case: 'updateAudioTrack',
      value: new UpdateLocalAudioTrack({ trackSid: sid, features: manyNumbers as never }),
    });
    await ada.settled();
    await witness.settled();
    const later = await join('track', 'later');
    const [track] = later.join!.otherParticipants.flatMap(({ tracks }) => tracks);
    expect(track?.audioFeatures.length).toBeGreaterThan(0);
    expect(track!.toBinary().length).toBeLessThan(1_000);
    for (const peer of [ada, witness, later]) peer.close();
  });

  test('is refused with a name of a layer that is too long', async () => {
    const ada = await join('layer', 'ada');
    const layers = [{ rid: 'r'.repeat(limits.trackNameBytes.value + 1) }] as never;
    ada.send({ case: 'addTrack', value: new AddTrackRequest({ cid: 'c', layers }) });
    expect(await ada.next('requestResponse')).toMatchObject({ reason: 3 });
    ada.close();
  });

  test('is not kept where it is no field of this protocol', async () => {
    const ada = await join('unknown', 'ada');
    // Field 1,000 of the layer, with 100 kB.
    const unknown = Buffer.concat([Buffer.from([0xc2, 0x3e, 0xa0, 0x8d, 0x06]), Buffer.alloc(100_000)]);
    const layer = Buffer.concat([Buffer.from([0x4a, 0xa5, 0x8d, 0x06]), unknown]);
    const request = Buffer.concat([new AddTrackRequest({ cid: 'c' }).toBinary(), layer]);
    const length: number[] = [];
    for (let rest = request.length; rest > 0; rest >>>= 7)
      length.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    ada.sendRaw(Buffer.concat([Buffer.from([0x22, ...length]), request]));
    const { track } = await ada.next('trackPublished');
    expect(track?.layers).toHaveLength(1);
    expect(track!.toBinary().length).toBeLessThan(1_000);
    ada.close();
  });
});

describe('a join request of a few kilobytes', () => {
  const query = (request: JoinRequest) => ({
    join_request: Buffer.from(
      new WrappedJoinRequest({
        compression: WrappedJoinRequest_Compression.GZIP,
        joinRequest: new Uint8Array(gzipSync(request.toBinary())),
      }).toBinary(),
    ).toString('base64'),
  });

  test('with more tracks than may be published is refused', async () => {
    const token = await signToken('ada', { roomJoin: true, room: 'tracks' });
    const request = (count: number) =>
      query(
        new JoinRequest({ addTrackRequests: Array.from({ length: count }, () => new AddTrackRequest()) }),
      );
    const { value: most } = limits.tracksPerParticipant;
    expect(await joinStatus(server.url, token, request(most), '/rtc/v1')).toBe(101);
    expect(await joinStatus(server.url, token, request(most + 1), '/rtc/v1')).toBe(400);
    expect(await joinStatus(server.url, token, request(100_000), '/rtc/v1')).toBe(400);
  });

  test('with any number of capabilities has those that are known', async () => {
    const token = await signToken('ada', { roomJoin: true, room: 'capabilities' });
    const capabilities = [
      ClientInfo_Capability.CAP_PACKET_TRAILER,
      ...Array.from({ length: 50_000 }, (_, i) => i),
    ];
    const clientInfo = new ClientInfo({ capabilities: capabilities as never });
    const peer = await SignalPeer.open(server.url, token, query(new JoinRequest({ clientInfo })), '/rtc/v1');
    const { participant } = await peer.next('join');
    expect(participant?.capabilities).toContain(ClientInfo_Capability.CAP_PACKET_TRAILER);
    expect(participant!.capabilities.length).toBeLessThan(20);
    peer.close();
  });
});

/** The longest that a witness in another room waits until `done`. */
async function worstAnswerMs(room: string, done: Promise<unknown>): Promise<number> {
  const witness = await join(`${room}, beside`, 'witness');
  let isOver = false;
  const end = done.finally(() => {
    isOver = true;
  });
  let worstMs = 0;
  while (!isOver) worstMs = Math.max(worstMs, await witness.settled(60_000));
  await end;
  witness.close();
  return worstMs;
}

describe('a message of many empty parts', () => {
  const parts = Array.from({ length: 400_000 }, () => new TrackPermission());
  const binary = new SignalRequest({
    message: {
      case: 'subscriptionPermission',
      value: new SubscriptionPermission({ allParticipants: false, trackPermissions: parts }),
    },
  }).toBinary();
  const json = `{"subscriptionPermission":{"trackPermissions":[${Array(300_000).fill('{}').join()}]}}`;

  test.each([
    ['in protobuf', binary],
    ['in JSON', json],
  ])('%s keeps nobody else waiting', async (room, message) => {
    const ada = await join(room, 'ada');
    for (let i = 0; i < 10; i++) await ada.publish({ cid: `c${i}` });
    const listeners = await Promise.all(Array.from({ length: 10 }, (_, i) => join(room, `l${i}`)));
    for (let i = 0; i < 3; i++) ada.sendRaw(message);
    expect(await worstAnswerMs(room, ada.settled(60_000))).toBeLessThan(1_000);
    for (const peer of [ada, ...listeners]) peer.close();
  });
});

test('permissions for a participant count, by identity and by sid, and end with the limit', async () => {
  const ada = await join('permitted', 'ada');
  const sid = await ada.publish({ cid: 'c' });
  const peers = await Promise.all(['one', 'two', 'three', 'four'].map((name) => join('permitted', name)));
  const entry = (participantIdentity: string, rest = {}) =>
    new TrackPermission({ participantIdentity, ...rest });
  const trackPermissions = [
    entry('one', { allTracks: true }),
    new TrackPermission({ participantSid: peers[1]!.join!.participant!.sid, trackSids: [sid] }),
    entry('three', { trackSids: ['TR_other'] }),
    ...Array.from({ length: limits.trackPermissions.value }, (_, i) => entry(`other ${i}`)),
    entry('four', { allTracks: true }),
  ];
  ada.send({
    case: 'subscriptionPermission',
    value: new SubscriptionPermission({ allParticipants: false, trackPermissions }),
  });
  await ada.settled();
  for (const peer of peers) await peer.settled();
  expect(peers.map((peer) => peer.has('subscriptionPermissionUpdate'))).toEqual([false, false, true, true]);
  for (const peer of [ada, ...peers]) peer.close();
});

test('updates about a participant that changes often do not cut off those who read slowly', async () => {
  const slow = await join('changes', 'slow');
  const flooder = await join('changes', 'flooder', { canUpdateOwnMetadata: true });
  slow.pause();
  const metadata = 'm'.repeat(60_000);
  for (let i = 0; i < 300; i++)
    flooder.send({
      case: 'updateMetadata',
      value: new UpdateParticipantMetadata({ metadata: `${metadata}${i}` }),
    });
  const served = async () => {
    for (let i = 0; i < 300; i++) await flooder.next('requestResponse', 60_000);
  };
  // Longer than it takes to serve them all without a budget.
  await Promise.race([served().catch(() => {}), delay(3_000)]);
  slow.resume();
  let bytes = 0;
  for (let i = 0; i < 30; i++) bytes += (await slow.next('update')).participants[0]!.metadata.length;
  expect(bytes).toBeGreaterThan(1_000_000);
  const cut = Promise.race([slow.closed.then(() => 'cut off'), slow.settled().then(() => 'served')]);
  expect(await cut).toBe('served');
  for (const peer of [slow, flooder]) peer.close();
});

describe('pings of a WebSocket', () => {
  const open = async (room: string) => {
    const token = await signToken('ada', { roomJoin: true, room });
    const socket = new WebSocket(`${server.url}/rtc?${new URLSearchParams({ access_token: token })}`);
    await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
    return socket;
  };

  test('are answered', async () => {
    const socket = await open('ping');
    socket.ping('hello');
    const answer = await new Promise<Buffer>((resolve) => socket.once('pong', resolve));
    expect(answer.toString()).toBe('hello');
    socket.close();
  });

  test('in any number do not make the server wait for a client that reads nothing', async () => {
    const witness = await join('pings witness', 'witness');
    const before = await server.memory();
    const sockets = await Promise.all(Array.from({ length: 5 }, (_, i) => open(`pings ${i}`)));
    const data = Buffer.alloc(100);
    for (const socket of sockets) {
      socket.pause();
      for (let i = 0; i < 100_000; i++) socket.ping(data);
    }
    let worstMs = 0;
    for (const untilMs = performance.now() + 3_000; performance.now() < untilMs; )
      worstMs = Math.max(worstMs, await witness.settled(60_000));
    expect(worstMs).toBeLessThan(1_000);
    const after = await server.memory();
    expect(after.usedBytes - before.usedBytes).toBeLessThan(10 * 1024 * 1024);
    for (const socket of sockets) socket.terminate();
    witness.close();
  });
});

test('a track that is named in one request many times is looked at once', async () => {
  const ada = await join('settings', 'ada');
  const sid = await ada.publish({ cid: 'c' });
  const viewer = await join('settings', 'viewer');
  const value = new UpdateTrackSettings({ trackSids: Array(60_000).fill(sid), quality: 1 });
  for (let i = 0; i < 5; i++) viewer.send({ case: 'trackSetting', value });
  expect(await worstAnswerMs('settings', viewer.settled(60_000))).toBeLessThan(1_000);
  for (const peer of [ada, viewer]) peer.close();
});
