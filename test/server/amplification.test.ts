import { once } from 'node:events';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import {
  ActiveSpeakerUpdate,
  AddTrackRequest,
  ClientInfo,
  ClientInfo_Capability,
  DataPacket,
  DataPacket_Kind,
  JoinRequest,
  LeaveRequest_Action,
  ParticipantTracks,
  SessionDescription,
  SignalRequest,
  SpeakerInfo,
  SubscriptionPermission,
  TrackPermission,
  TrackType,
  UpdateLocalAudioTrack,
  UpdateParticipantMetadata,
  UpdateSubscriptionsRequest,
  UpdateTrackSettings,
  WrappedJoinRequest,
  WrappedJoinRequest_Compression,
} from '@livekit/protocol';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { stampPacket } from '../../src/server/data-relay.js';
import { HttpListener } from '../../src/server/http-listener.js';
import { HttpRouter } from '../../src/server/http-router.js';
import { startServer } from '../../src/server/index.js';
import { limits } from '../../src/server/limits.js';
import { DownTrack } from '../../src/server/sfu/down-track.js';
import { ServerProcess } from '../support/server-process.js';
import { audioOffer, joinStatus, SignalPeer, signToken } from './signal-peer.js';

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
    // It was not read: nobody was forbidden anything.
    for (const listener of listeners) await listener.settled();
    expect(listeners.map((listener) => listener.has('subscriptionPermissionUpdate'))).toEqual(
      listeners.map(() => false),
    );
    for (const peer of [ada, ...listeners]) peer.close();
  });

  test('is taken with as many as are allowed', async () => {
    const most = limits.messageParts.value;
    const request = (parts: number) =>
      new SubscriptionPermission({
        allParticipants: false,
        // The permission is a part itself.
        trackPermissions: Array.from({ length: parts - 1 }, () => new TrackPermission()),
      });
    const message = (parts: number) => ({ case: 'subscriptionPermission' as const, value: request(parts) });
    const ada = await join('allowed parts', 'ada');
    await ada.publish({ cid: 'c' });
    const listener = await join('allowed parts', 'listener');
    ada.send(message(most + 1));
    await ada.settled();
    await listener.settled();
    expect(listener.has('subscriptionPermissionUpdate')).toBe(false);
    ada.send(message(most));
    expect(await listener.next('subscriptionPermissionUpdate')).toMatchObject({ allowed: false });
    for (const peer of [ada, listener]) peer.close();
  });

  test('to the server API is refused, in protobuf and in JSON', async () => {
    const token = await signToken('', { roomAdmin: true, room: 'api' });
    const call = async (contentType: string, body: Uint8Array | string) => {
      const url = `${server.url.replace('ws', 'http')}/twirp/livekit.RoomService/UpdateSubscriptions`;
      const headers = { authorization: `Bearer ${token}`, 'content-type': contentType };
      const response = await fetch(url, { method: 'POST', headers, body: body as string });
      return ((await response.json()) as { code: string }).code;
    };
    const request = (parts: number) =>
      new UpdateSubscriptionsRequest({
        room: 'api',
        participantTracks: Array.from({ length: parts }, () => new ParticipantTracks()),
      });
    const most = limits.messageParts.value;
    const answers = async (parts: number) => [
      await call('application/protobuf', request(parts).toBinary()),
      await call(
        'application/json',
        JSON.stringify({ room: 'api', participantTracks: Array(parts).fill({}) }),
      ),
    ];
    // One less than in protobuf: the message itself has a brace too.
    expect(await answers(most - 1)).toEqual(['not_found', 'not_found']);
    expect(await answers(most + 1)).toEqual(['malformed', 'malformed']);
  });

  test('as a data packet is passed over', () => {
    const packet = (parts: number) =>
      new DataPacket({
        value: {
          case: 'speaker',
          value: new ActiveSpeakerUpdate({
            speakers: Array.from({ length: parts - 1 }, () => new SpeakerInfo()),
          }),
        },
      }).toBinary();
    const sender = { permission: {}, sid: 'PA_a', identity: 'ada', lastReliableSequence: 0 };
    const most = limits.messageParts.value;
    const stamp = (parts: number) => stampPacket(packet(parts), DataPacket_Kind.RELIABLE, sender as never);
    expect(stamp(most)?.participantSid).toBe('PA_a');
    expect(stamp(most + 1)).toBeUndefined();
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

test('changes of a participant wait while others have to read more of it than a slow connection carries', async () => {
  const slow = await join('changes', 'slow');
  const flooder = await join('changes', 'flooder', { canUpdateOwnMetadata: true });
  const metadata = 'm'.repeat(60_000);
  const { announcedBytesBurst, announcedBytesPerSecond } = limits;
  const seconds = 2;
  const count = Math.ceil((announcedBytesBurst.value + seconds * announcedBytesPerSecond.value) / 60_000);
  const startMs = performance.now();
  for (let i = 0; i < count; i++)
    flooder.send({
      case: 'updateMetadata',
      value: new UpdateParticipantMetadata({ metadata: `${metadata}${i}` }),
    });
  for (let i = 0; i < count; i++) await flooder.next('requestResponse', 60_000);
  expect(performance.now() - startMs).toBeGreaterThan(900 * seconds);
  // All the same they arrive.
  await slow.until('update', ({ participants }) => participants[0]!.metadata === `${metadata}${count - 1}`);
  for (const peer of [slow, flooder]) peer.close();
}, 60_000);

test('changes of a participant that is alone wait for nobody', async () => {
  const { announcedBytesBurst } = limits;
  const ada = await join('alone', 'ada', { canUpdateOwnMetadata: true });
  const count = Math.ceil((4 * announcedBytesBurst.value) / 60_000);
  const startMs = performance.now();
  for (let i = 0; i < count; i++) {
    const metadata = `${i}`.padEnd(60_000, 'm');
    ada.send({ case: 'updateMetadata', value: new UpdateParticipantMetadata({ metadata }) });
    await ada.next('requestResponse', 60_000);
  }
  // With others in the room it takes 12 s.
  expect(performance.now() - startMs).toBeLessThan(8_000);
  ada.close();
}, 60_000);

async function open(room: string): Promise<WebSocket> {
  const token = await signToken('ada', { roomJoin: true, room });
  const socket = new WebSocket(`${server.url}/rtc?${new URLSearchParams({ access_token: token })}`);
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  return socket;
}

test('a message in thousands of pieces ends its connection', async () => {
  const socket = await open('pieces');
  const closed = once(socket, 'close');
  for (let i = 0; i <= limits.messageFragments.value; i++) socket.send(Buffer.of(1), { fin: false });
  expect((await closed)[0]).toBe(1008);
});

test('a message that arrives in more pieces than are kept ends its connection', async () => {
  const chunks = limits.messageChunks as { value: number };
  const before = chunks.value;
  chunks.value = 16;
  const own = await startServer({ port: 0 });
  chunks.value = before;
  const socket = connect({ port: Number(new URL(own.url).port), host: '127.0.0.1', noDelay: true });
  const received: Buffer[] = [];
  socket.on('error', () => {}).on('data', (bytes: Buffer) => received.push(bytes));
  try {
    const head = [
      `GET /rtc?access_token=${await signToken('ada', { roomJoin: true, room: 'drip' })} HTTP/1.1`,
      'Host: localhost',
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Key: ${Buffer.alloc(16).toString('base64')}`,
    ];
    socket.write(`${head.join('\r\n')}\r\n\r\n`);
    await once(socket, 'data');
    const payloadBytes = 60_000;
    socket.write(Buffer.of(0x82, 0xfe, payloadBytes >> 8, payloadBytes & 0xff, 0, 0, 0, 0));
    for (let sent = 1; sent < payloadBytes && !socket.closed; sent++) {
      socket.write(Buffer.of(0));
      await new Promise(setImmediate);
    }
    // The status of its close frame, 1008.
    expect(Buffer.concat(received).includes(Buffer.of(0x03, 0xf0))).toBe(true);
    expect(socket.closed).toBe(true);
  } finally {
    socket.destroy();
    await own.close();
  }
});

describe('pings of a WebSocket', () => {
  test('are answered', async () => {
    const socket = await open('ping');
    socket.ping('hello');
    const answer = await new Promise<Buffer>((resolve) => socket.once('pong', resolve));
    expect(answer.toString()).toBe('hello');
    socket.close();
  });

  test('count as requests: a client that sends too many is not read for a while', async () => {
    const ada = await join('many pings', 'ada');
    const { signalRequestBurst, signalRequestsPerSecond } = limits;
    const startMs = performance.now();
    for (let i = 0; i < signalRequestBurst.value + signalRequestsPerSecond.value; i++) ada.ping();
    // What has come at once is read at once.
    for (let i = 0; i < 2; i++) await ada.settled(60_000);
    expect(performance.now() - startMs).toBeGreaterThan(900);
    ada.close();
  });

  test('are not answered to a client that leaves the answers unread', async () => {
    let served: WebSocket | undefined;
    const serve = (socket: WebSocket) => {
      served = socket;
    };
    const listener = new HttpListener(new HttpRouter(), { '/': async () => ({ admit() {}, serve }) });
    const client = new WebSocket(`ws://127.0.0.1:${await listener.listen(0, '127.0.0.1')}`);
    try {
      await once(client, 'open');
      client.pause();
      let pings = 0;
      served!.on('ping', () => pings++);
      while (served!.bufferedAmount <= limits.unreadPongBytes.value) {
        served!.send(Buffer.alloc(100_000));
        await new Promise(setImmediate);
      }
      const unread = served!.bufferedAmount;
      for (let i = 0; i < 1_000; i++) client.ping(Buffer.alloc(125));
      await expect.poll(() => pings, { timeout: 10_000 }).toBe(1_000);
      expect(served!.bufferedAmount).toBeLessThanOrEqual(unread);
    } finally {
      client.terminate();
      await listener.close();
    }
  });
});

test('a track that is named in one request many times is looked at once', async () => {
  const own = await startServer({ port: 0 });
  const ada = await SignalPeer.join(own.url, 'settings', 'ada');
  const sid = await ada.publish({ cid: 'c' });
  const viewer = await SignalPeer.join(own.url, 'settings', 'viewer');
  const looks = vi.spyOn(DownTrack.prototype, 'setWish');
  try {
    const value = new UpdateTrackSettings({ trackSids: Array(60_000).fill(sid), quality: 1 });
    viewer.send({ case: 'trackSetting', value });
    await viewer.settled();
    expect(looks).toHaveBeenCalledTimes(1);
  } finally {
    looks.mockRestore();
    for (const peer of [ada, viewer]) peer.close();
    await own.close();
  }
});

const descriptionHead = audioOffer('c').split('m=audio')[0]!;
const credentials = audioOffer('c').match(/a=ice-[\s\S]*?a=setup:actpass\r\n/)![0];
const videoSection = (mid: string, cid: string, lines: string, payloadTypes: readonly number[] = []) =>
  [
    `m=video 9 UDP/TLS/RTP/SAVPF ${[96, ...payloadTypes].join(' ')}`,
    'c=IN IP4 0.0.0.0',
    `${credentials}a=mid:${mid}`,
    'a=sendonly',
    `a=msid:- ${cid}`,
    lines,
  ].join('\r\n');

describe('a session description', () => {
  const offer = (sdp: string) => ({
    case: 'offer' as const,
    value: new SessionDescription({ type: 'offer', sdp }),
  });
  const announce = async (peer: SignalPeer, cid: string) => {
    peer.send({ case: 'addTrack', value: new AddTrackRequest({ cid, type: TrackType.VIDEO }) });
    await peer.next('trackPublished');
  };
  const vp8 = 'a=rtpmap:96 VP8/90000\r\n';

  test.each([
    ['a MID', (long: string) => descriptionHead + videoSection(long, 'c', vp8)],
    ['a user name fragment', (long: string) => audioOffer('c', { ufrag: long })],
    ['a password', (long: string) => audioOffer('c').replace(/ice-pwd:\w+/, `ice-pwd:${long}`)],
  ])('with %s of 70,000 bytes is refused, and the server goes on', async (room, sdp) => {
    const witness = await join(room, 'witness');
    const ada = await join(room, 'ada');
    await announce(ada, 'c');
    const candidate = 'candidate:1 1 udp 1 127.0.0.1 40000 typ host';
    ada.send(offer(`${sdp('x'.repeat(70_000))}a=${candidate}\r\n`));
    expect(await ada.next('leave')).toMatchObject({ action: LeaveRequest_Action.RECONNECT });
    // Checks would have left by now.
    for (let i = 0; i < 3; i++) await witness.settled();
    expect(server.isRunning).toBe(true);
    for (const peer of [ada, witness]) peer.close();
  });

  test('offers others no codec with long parameters, nor hundreds of codecs', async () => {
    const ada = await join('codecs', 'ada');
    await announce(ada, 'c');
    const long = `a=rtpmap:96 VP8/90000\r\na=fmtp:96 x=${'y'.repeat(100_000)}\r\n`;
    const more = Array.from({ length: 90 }, (_, i) => `a=rtpmap:${i} VP8/90000\r\n`).join('');
    const payloadTypes = Array.from({ length: 90 }, (_, i) => i);
    ada.send(offer(descriptionHead + videoSection('1', 'c', long + more, payloadTypes)));
    await ada.next('answer');
    const viewer = await join('codecs', 'viewer');
    const { sdp } = await viewer.next('offer');
    expect(sdp.match(/VP8/g)).toHaveLength(limits.codecsPerSection.value);
    expect(sdp.length).toBeLessThan(10_000);
    for (const peer of [ada, viewer]) peer.close();
  });

  test('is not kept because of the few words of it that are', async () => {
    const ada = await join('kept', 'ada');
    const before = await server.memory();
    let sections = '';
    for (let i = 0; i < 60; i++) {
      await announce(ada, `a long name of a track, ${i}`);
      sections += videoSection(`a long name of a section, ${i}`, `a long name of a track, ${i}`, vp8);
      ada.send(offer(`${descriptionHead + sections}a=x:${'x'.repeat(600_000)}\r\n`));
      await ada.next('answer', 60_000);
    }
    const after = await server.memory();
    // All of them are 36 MB.
    expect(after.usedBytes - before.usedBytes).toBeLessThan(10 * 1024 * 1024);
    ada.close();
  }, 120_000);
});

test('offers that others are sent because of a participant count as what they have to read of it', async () => {
  const ada = await join('offers', 'ada');
  const viewer = await join('offers', 'viewer');
  const { announcedBytesBurst, announcedBytesPerSecond } = limits;
  const parameters = 'y'.repeat(500);
  const payloadTypes = Array.from({ length: 30 }, (_, i) => i);
  const lines = payloadTypes
    .map((type) => `a=rtpmap:${type} VP8/90000\r\na=fmtp:${type} x=${parameters}\r\n`)
    .join('');
  // One track after the other; each offer repeats all tracks before it.
  const count = 20;
  let sdp = descriptionHead;
  const startMs = performance.now();
  for (let i = 0; i < count; i++) {
    ada.send({ case: 'addTrack', value: new AddTrackRequest({ cid: `c${i}`, type: TrackType.VIDEO }) });
    await ada.next('trackPublished', 60_000);
    sdp += videoSection(`${i}`, `c${i}`, lines, payloadTypes);
    ada.send({ case: 'offer', value: new SessionDescription({ type: 'offer', sdp }) });
    await ada.next('answer', 60_000);
  }
  const tookS = (performance.now() - startMs) / 1_000;
  // The last of them is paid for afterwards.
  const bytes = (((count - 1) * count) / 2) * payloadTypes.length * parameters.length;
  const leastS = (bytes - announcedBytesBurst.value) / announcedBytesPerSecond.value;
  expect(leastS).toBeGreaterThan(1);
  expect(tookS).toBeGreaterThan(0.9 * leastS);
  for (const peer of [ada, viewer]) peer.close();
}, 60_000);
