import {
  JoinResponse,
  LeaveRequest,
  LeaveRequest_Action,
  ParticipantInfo,
  ParticipantUpdate,
  RequestResponse,
  RoomUpdate,
  SessionDescription,
  SignalRequest,
  type SignalResponse,
  SpeakersChanged,
  TrackPublishedResponse,
  TrickleRequest,
} from '@livekit/protocol';
import { AccessToken } from 'livekit-server-sdk';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { WebSocket } from 'ws';
import { type FakeServer, fakeServer, say } from '../signal/fake-server.js';
import { AudioSource, Room, type RoomEvent, type RoomFilters } from '../support/engine.js';

const join = new JoinResponse({
  participant: { sid: 'PA_me', identity: 'me' },
  room: { sid: 'RM_1', name: 'room' },
  pingInterval: 60,
  pingTimeout: 120,
  subscriberPrimary: true,
});

describe('a room whose server talks nonsense', () => {
  let server: FakeServer;
  let room: Room;
  let events: RoomEvent[];
  let sockets: WebSocket[];
  let requests: SignalRequest['message'][];
  /** What the server says to a client that joins. */
  let greeting: SignalResponse['message'][];

  beforeEach(async () => {
    events = [];
    sockets = [];
    requests = [];
    greeting = [{ case: 'join', value: join }];
    server = await fakeServer((socket) => {
      sockets.push(socket);
      socket.on('message', (bytes) => requests.push(SignalRequest.fromBinary(bytes as Buffer).message));
      for (const message of greeting) say(socket, message);
    });
    room = new Room();
    room.onEvent = (event) => events.push(event);
  });
  afterEach(async () => {
    await room.disconnect();
    await server.close();
  });

  const makeToken = () => {
    const token = new AccessToken('key', 'secret', { identity: 'me' });
    token.addGrant({ roomJoin: true, room: 'room' });
    return token.toJwt();
  };
  const connect = async (options = {}) => room.connect(server.url, await makeToken(), options);
  const types = () => events.map(({ type }) => type);
  /** Says something, and then something that shows that it was heard and survived. */
  const survives = async (...messages: SignalResponse['message'][]) => {
    for (const message of messages) say(sockets.at(-1)!, message);
    const metadata = `after ${messages.length}`;
    say(sockets.at(-1)!, {
      case: 'roomUpdate',
      value: new RoomUpdate({ room: { sid: 'RM_1', name: 'room', metadata } }),
    });
    await expect.poll(() => types()).toContain('roomMetadataChanged');
    expect(room.connectionState).toBe('connected');
  };

  it('lives through descriptions and candidates that are none', async () => {
    await connect();
    await survives(
      {
        case: 'answer',
        value: new SessionDescription({ type: 'answer', sdp: 'no answer of any offer', id: 99 }),
      },
      { case: 'offer', value: new SessionDescription({ type: 'offer', sdp: '', id: 1 }) },
      { case: 'trickle', value: new TrickleRequest({ candidateInit: '{"candidate": 3' }) },
      { case: 'trickle', value: new TrickleRequest({ candidateInit: 'null' }) },
      { case: 'trickle', value: new TrickleRequest({ candidateInit: '{"candidate":"candidate:nonsense"}' }) },
    );
  });

  it('lives through news of nobody, and of tracks that nobody has', async () => {
    await connect();
    await survives(
      { case: 'update', value: new ParticipantUpdate({ participants: [new ParticipantInfo()] }) },
      { case: 'trackPublished', value: new TrackPublishedResponse({ cid: 'unknown' }) },
      { case: 'requestResponse', value: new RequestResponse({ requestId: 4711 }) },
      {
        case: 'speakersChanged',
        value: new SpeakersChanged({ speakers: [{ sid: 'PA_ghost', active: true }] }),
      },
      { case: 'subscriptionResponse', value: { trackSid: 'TR_ghost', err: 1 } as never },
      { case: 'mute', value: { sid: 'TR_ghost', muted: true } as never },
      { case: 'trackSubscribed', value: { trackSid: 'TR_ghost' } as never },
      { case: 'subscriptionPermissionUpdate', value: { trackSid: 'TR_ghost', allowed: true } as never },
    );
  });

  it('joins with a JoinResponse that has nothing in it', async () => {
    greeting = [{ case: 'join', value: new JoinResponse() }];
    await connect();
    expect(room.localParticipant.identity).toBe('');
    expect(room.remoteParticipants.size).toBe(0);
  });

  it('refuses to publish, in time and with a reason, when the server does not take the track', async () => {
    await connect({ deadlines: { publish: 300 } });
    const source = new AudioSource({ sampleRate: 48_000, numChannels: 1, queueSizeMs: 100 });
    await expect(room.localParticipant.publishAudio(source, { name: 'voice' })).rejects.toMatchObject({
      code: 'OFFHOOK_DEADLINE',
      stage: 'publish',
      message: expect.stringContaining('voice'),
    });
    const publishing = room.localParticipant.publishAudio(source);
    await expect.poll(() => requests.filter(({ case: name }) => name === 'addTrack').length).toBe(2);
    const request = requests.findLast(({ case: name }) => name === 'addTrack')!.value;
    const refusal = new RequestResponse({
      reason: 2,
      message: 'not here',
      request: { case: 'addTrack', value: request as never },
    });
    say(sockets[0]!, { case: 'requestResponse', value: refusal });
    await expect(publishing).rejects.toMatchObject({
      code: 'OFFHOOK_SERVER_REFUSED',
      message: expect.stringContaining('not here'),
    });
    source.close();
  });

  it('gives up when media never comes up, and says that it was ICE', async () => {
    await connect({ deadlines: { ice: 200 }, maxReconnectAttempts: 2 });
    await expect.poll(() => types(), { timeout: 10_000 }).toContain('disconnected');
    const end = events.find((event) => event.type === 'disconnected');
    expect(end).toMatchObject({ message: expect.stringMatching(/stage ice/) });
    expect(types()).toContain('reconnecting');
    expect(room.timeline.spans.some(({ stage, outcome }) => stage === 'ice' && outcome === 'deadline')).toBe(
      true,
    );
  });

  it('says so when it was to wait for media that does not come up', async () => {
    await expect(connect({ waitFor: 'media', deadlines: { ice: 200 } })).rejects.toMatchObject({
      code: 'OFFHOOK_DEADLINE',
      stage: 'ice',
    });
    expect(room.connectionState).toBe('disconnected');
  });

  it('follows the server when it asks to leave', async () => {
    await connect();
    const leave = new LeaveRequest({ action: LeaveRequest_Action.DISCONNECT, reason: 4 });
    say(sockets[0]!, { case: 'leave', value: leave });
    await expect.poll(() => types().slice(-3)).toEqual(['connectionStateChanged', 'disconnected', 'eos']);
    expect(events.find((event) => event.type === 'disconnected')).toMatchObject({
      reason: 4,
      message: expect.stringContaining('PARTICIPANT_REMOVED'),
    });
    expect(sockets).toHaveLength(1);
  });

  it('has a timeline that says whose it is, without the query of its URL', async () => {
    await room.connect(`${server.url}?access_token=secret`, await makeToken());
    expect(room.timeline.toJSON()).toMatchObject({ url: server.url, room: 'room', identity: 'me' });
  });

  it('comes back by the regions that are usable when the server names others too', async () => {
    await connect({ maxReconnectAttempts: 3 });
    const regions = ['', 'not a url', 'ftp://example.test', server.url].map((url) => ({ url }));
    const value = new LeaveRequest({
      action: LeaveRequest_Action.RECONNECT,
      reason: 12,
      regions: { regions },
    });
    say(sockets[0]!, { case: 'leave', value });
    await expect.poll(() => server.upgrades.length, { timeout: 5_000 }).toBeGreaterThan(1);
  });

  it('keeps the filters of the room that a program joins when the one before has ended', async () => {
    const filters = { connecting: 0, closed: 0 };
    const registry: RoomFilters = {
      roomConnecting: () => filters.connecting++,
      roomClosed: () => filters.closed++,
      updateToken: () => {},
      create: () => {
        throw new Error('no filter is asked for');
      },
    };
    await room.disconnect();
    room = new Room({ filters: registry });
    const token = await makeToken();
    let again: Promise<void> | undefined;
    room.onEvent = ({ type }) => {
      events.push({ type } as RoomEvent);
      if (type === 'disconnected') again ??= room.connect(server.url, token);
    };
    await connect();
    const value = new LeaveRequest({ action: LeaveRequest_Action.DISCONNECT, reason: 4 });
    say(sockets[0]!, { case: 'leave', value });
    await expect.poll(() => types()).toContain('eos');
    await again;
    expect(room.connectionState).toBe('connected');
    expect(filters).toEqual({ connecting: 2, closed: 1 });
  });

  it('comes back with the token that the server gave it last', async () => {
    await connect({ maxReconnectAttempts: 2 });
    const fresh = new AccessToken('key', 'secret', { identity: 'me', name: 'fresh' });
    const token = await fresh.toJwt();
    await survives({ case: 'refreshToken', value: token });
    sockets[0]!.terminate();
    await expect.poll(() => server.upgrades.length, { timeout: 5_000 }).toBeGreaterThan(1);
    expect(JSON.stringify([server.upgrades[1]!.url, server.upgrades[1]!.headers])).toContain(token);
  });
});
