import {
  DisconnectReason,
  JoinResponse,
  LeaveRequest,
  LeaveRequest_Action,
  Pong,
  ReconnectReason,
  ReconnectResponse,
} from '@livekit/protocol';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { defaultDeadlinesMs } from '../../src/deadlines/index.js';
import type { OffhookError } from '../../src/errors/index.js';
import { SignalClient } from '../../src/signal/index.js';
import { freeTcpPort, startLivekitServer } from '../support/livekit-server.mjs';
import { describeWith } from '../support/parts.js';
import { fakeServer, heardOn, say, silentServer } from './fake-server.js';
import { failureOf, optionsFor, tokenFor } from './open.js';
import { track } from './track.js';

const joined = new JoinResponse({ room: { sid: 'RM_1', name: 'kitchen' } });
const join = { case: 'join', value: joined } as const;

describeWith(['livekit-server'], 'SignalClient and a real livekit-server', () => {
  let server: Awaited<ReturnType<typeof startLivekitServer>>;
  beforeAll(async () => {
    server = await startLivekitServer();
  });
  afterAll(() => server.stop());

  test('joins, gets pongs, and is gone from the server after leave and close', async () => {
    const { url } = server;
    const options = optionsFor(url, await tokenFor(server));
    const client = track(await SignalClient.open(options));
    expect(client.first.case).toBe('join');
    expect((client.first.value as JoinResponse).participant?.identity).toBe('alice');
    expect(client.url).toBe(url);
    expect(options.timeline.spans.map(({ stage, outcome }) => `${stage} ${outcome}`)).toEqual([
      'tcp ok',
      'websocket ok',
      'join ok',
    ]);

    const watcher = track(
      await SignalClient.open(optionsFor(url, await tokenFor(server, { identity: 'bob' }))),
    );
    const gone = new Promise<void>((resolve) => {
      watcher.onMessage = (message) => {
        if (message.case !== 'update') return;
        if (message.value.participants.some(({ identity, state }) => identity === 'alice' && state === 3))
          resolve();
      };
    });
    client.send({
      case: 'leave',
      value: new LeaveRequest({
        reason: DisconnectReason.CLIENT_INITIATED,
        action: LeaveRequest_Action.DISCONNECT,
      }),
    });
    client.close();
    await gone;
  });

  test('a token with a wrong secret and one that has expired are refused with the reason', async () => {
    const { url, apiKey } = server;
    const wrong = await tokenFor({ apiKey, apiSecret: 'another-secret-which-is-as-long-as-that' });
    const refused = await failureOf(optionsFor(url, wrong));
    expect(refused.code).toBe('OFFHOOK_UNAUTHORIZED');
    expect(refused.message).toContain('HTTP 401, ');
    expect(refused.advice).toContain(JSON.stringify(apiKey));

    const expired = await failureOf(optionsFor(url, await tokenFor(server, { ttl: '-1m' })));
    expect(expired.code).toBe('OFFHOOK_UNAUTHORIZED');
    expect(expired.advice).toMatch(/^It expired \d+ s ago/);
  });

  test('a resume of a session that the server does not hold is refused with a leave', async () => {
    const resume = { participantSid: 'PA_gone', reason: ReconnectReason.RR_SIGNAL_DISCONNECTED };
    const options = optionsFor(server.url, await tokenFor(server, { identity: 'carol' }), { resume });
    const failure = await failureOf(options);
    expect(failure.code).toBe('OFFHOOK_SERVER_REFUSED');
    expect(failure.cause).toBeInstanceOf(LeaveRequest);
  });
});

test('asks for what servers expect', async () => {
  const server = track(await fakeServer((socket) => say(socket, join)));
  track(await SignalClient.open(optionsFor(`${server.url}/below/`, 'a.b.c', { adaptiveStream: true })));
  const [request] = server.upgrades;
  const { pathname, searchParams } = new URL(request!.url!, server.url);
  expect(pathname).toBe('/below/rtc');
  expect(Object.fromEntries(searchParams)).toMatchObject({
    protocol: '17',
    sdk: 'node',
    auto_subscribe: '1',
    adaptive_stream: '1',
  });
  expect(searchParams.has('reconnect')).toBe(false);
  expect(request!.headers.authorization).toBe('Bearer a.b.c');
});

test('resumes a session, also with a server that sends no ReconnectResponse', async () => {
  const resume = { participantSid: 'PA_1', reason: ReconnectReason.RR_SIGNAL_DISCONNECTED };
  const modern = track(
    await fakeServer((socket) =>
      say(socket, { case: 'reconnect', value: new ReconnectResponse({ lastMessageSeq: 7 }) }),
    ),
  );
  const client = track(await SignalClient.open(optionsFor(modern.url, undefined, { resume })));
  expect(client.first).toMatchObject({ case: 'reconnect', value: { lastMessageSeq: 7 } });
  const { searchParams } = new URL(modern.upgrades[0]!.url!, modern.url);
  expect(Object.fromEntries(searchParams)).toMatchObject({
    reconnect: '1',
    sid: 'PA_1',
    reconnect_reason: '1',
  });

  const old = track(await fakeServer((socket) => say(socket, { case: 'refreshToken', value: 'new.token' })));
  const other = track(await SignalClient.open(optionsFor(old.url, undefined, { resume })));
  expect(other.first.case).toBe('reconnect');
  const message = await new Promise((resolve) => {
    other.onMessage = resolve;
  });
  expect(message).toEqual({ case: 'refreshToken', value: 'new.token' });
});

test('keeps messages that come before anybody listens, in order, and the end after them', async () => {
  const server = track(
    await fakeServer((socket) => {
      say(socket, join);
      for (const token of ['1', '2', '3']) say(socket, { case: 'refreshToken', value: token });
      socket.close(1001, 'going');
    }),
  );
  const client = track(await SignalClient.open(optionsFor(server.url)));
  const seen: unknown[] = [];
  const ended = new Promise<OffhookError>((resolve) => {
    client.onClose = (reason) => {
      seen.push('closed');
      resolve(reason);
    };
  });
  client.onMessage = (message) => seen.push(message.value);
  expect((await ended).message).toContain('1001: going');
  expect(seen).toEqual(['1', '2', '3', 'closed']);
});

test('pings at the interval of the server and measures the round trip', async () => {
  const server = track(
    await fakeServer((socket) => {
      say(socket, { case: 'join', value: new JoinResponse({ pingInterval: 1, pingTimeout: 3 }) });
      heardOn(socket, (message) => {
        if (message.case !== 'pingReq') return;
        say(socket, { case: 'pongResp', value: new Pong({ lastPingTimestamp: message.value.timestamp }) });
      });
    }),
  );
  const client = track(await SignalClient.open(optionsFor(server.url)));
  client.onMessage = () => {};
  await vi.waitFor(() => expect(client.rttMs).toBeGreaterThanOrEqual(0), 5_000);
});

test('a server that goes mute ends the connection with an error', async () => {
  const server = track(
    await fakeServer((socket) =>
      say(socket, { case: 'join', value: new JoinResponse({ pingInterval: 1, pingTimeout: 1 }) }),
    ),
  );
  const client = track(await SignalClient.open(optionsFor(server.url)));
  client.onMessage = () => {};
  const reason = await new Promise<OffhookError>((resolve) => {
    client.onClose = resolve;
  });
  expect(reason).toMatchObject({ code: 'OFFHOOK_UNREACHABLE', stage: 'websocket' });
  expect(reason.message).toContain('answered no ping for 1 s');
});

test('what is no URL of a server and what is no token is said before anything is opened', async () => {
  for (const url of ['', 'kitchen', 'ftp://example.test', 'ws://', 'ws://user:word@example.test']) {
    expect(await failureOf(optionsFor(url))).toMatchObject({ code: 'OFFHOOK_INVALID_URL', stage: 'url' });
  }
  expect(await failureOf(optionsFor([]))).toMatchObject({ code: 'OFFHOOK_INVALID_URL' });
  for (const token of ['', 'two words', 'line\nend']) {
    expect(await failureOf(optionsFor('ws://127.0.0.1:1', token))).toMatchObject({
      code: 'OFFHOOK_INVALID_TOKEN',
    });
  }
});

test('a URL that is refused is shown without the secrets in it', async () => {
  for (const url of [
    'ftp://alice:password@example.test',
    'ftp://example.test?access_token=password',
    '//a:password@b',
  ]) {
    const failure = await failureOf(optionsFor(url));
    expect(failure.code).toBe('OFFHOOK_INVALID_URL');
    expect(failure.toLine()).not.toContain('password');
  }
});

test('a server that is not there is named', async () => {
  const port = await freeTcpPort();
  const failure = await failureOf(optionsFor(`ws://127.0.0.1:${port}`));
  expect(failure).toMatchObject({ code: 'OFFHOOK_UNREACHABLE', stage: 'tcp', host: `127.0.0.1:${port}` });
  expect(failure.message).toContain('ECONNREFUSED');
});

test('a server that accepts and says nothing is given up at the deadline, and its socket with it', async () => {
  const server = track(await silentServer());
  const deadlines = { ...defaultDeadlinesMs, websocket: 100 };
  const failure = await failureOf(optionsFor(server.url, undefined, { deadlines }));
  expect(failure).toMatchObject({ code: 'OFFHOOK_DEADLINE', stage: 'websocket' });
  await vi.waitFor(async () => expect(await server.connections()).toBe(0), 5_000);
});

test('a WebSocket that stays mute is given up at the deadline of join, and its socket with it', async () => {
  let ended = false;
  const server = track(
    await fakeServer((socket) =>
      socket.on('close', () => {
        ended = true;
      }),
    ),
  );
  const deadlines = { ...defaultDeadlinesMs, join: 100 };
  const failure = await failureOf(optionsFor(server.url, undefined, { deadlines }));
  expect(failure).toMatchObject({ code: 'OFFHOOK_DEADLINE', stage: 'join' });
  await vi.waitFor(() => expect(ended).toBe(true), 5_000);
});

test('garbage in place of protobuf is named', async () => {
  for (const garbage of ['{"join": true}', Buffer.from([0xff, 0xff, 0xff])]) {
    const server = track(await fakeServer((socket) => socket.send(garbage)));
    expect(await failureOf(optionsFor(server.url))).toMatchObject({
      code: 'OFFHOOK_PROTOCOL',
      host: `127.0.0.1:${server.port}`,
    });
  }
});

test('a leave before the join is named with its reason, and is the cause', async () => {
  const leave = new LeaveRequest({
    reason: DisconnectReason.STATE_MISMATCH,
    action: LeaveRequest_Action.RECONNECT,
  });
  const server = track(await fakeServer((socket) => say(socket, { case: 'leave', value: leave })));
  const failure = await failureOf(optionsFor(server.url));
  expect(failure).toMatchObject({ code: 'OFFHOOK_SERVER_REFUSED', stage: 'join' });
  expect(failure.message).toContain('STATE_MISMATCH');
  expect(failure.cause).toEqual(leave);
});

test('a connection that ends before the join is named', async () => {
  const server = track(await fakeServer((socket) => socket.close(1011, 'no room left')));
  const failure = await failureOf(optionsFor(server.url));
  expect(failure.code).toBe('OFFHOOK_UNREACHABLE');
  expect(failure.message).toContain('no room left');
});

test('aborting abandons it at once', async () => {
  const server = track(await silentServer());
  const controller = new AbortController();
  const failure = failureOf(optionsFor(server.url, undefined, { abort: controller.signal }));
  await vi.waitFor(async () => expect(await server.connections()).toBe(1));
  controller.abort();
  expect(await failure).toMatchObject({ code: 'OFFHOOK_ABORTED' });
  await vi.waitFor(async () => expect(await server.connections()).toBe(0), 5_000);
});
