import { createServer, type Server, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { AccessToken } from 'livekit-server-sdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeWith } from '../support/parts.js';
import { Program } from '../support/program.mjs';
import { makeToken } from '../support/token.mjs';
import { House, sdks } from './house.js';

const script = fileURLToPath(new URL('programs/connect-once.mjs', import.meta.url));

/** Runs the program to its end, which it must come to by itself. */
async function connectOnce(url: string, token: string, env: Record<string, string> = {}) {
  const program = new Program(script, { engine: 'offhook', args: [url, token], env });
  const code = await program.untilEnded();
  const [event] = program.events;
  return { code, event: event?.event, message: String(event?.message), elapsedMs: Number(event?.elapsedMs) };
}

describeWith(['livekit-server'], 'connecting', () => {
  const house = new House();
  const token = (identity: string) => makeToken(house.server, house.room, identity);

  for (const { sdk, RTC_PACKAGE } of sdks) {
    test(`a program of ${sdk} joins, leaves and ends by itself`, async () => {
      const { code, event } = await connectOnce(house.server.url, await token('me'), { RTC_PACKAGE });
      expect({ code, event }).toEqual({ code: 0, event: 'connected' });
    });
  }

  test('with a token of another secret fails, and says so', async () => {
    const wrong = await makeToken({ ...house.server, apiSecret: 'x'.repeat(32) }, house.room, 'me');
    const { code, event, message } = await connectOnce(house.server.url, wrong);
    expect({ code, event }).toEqual({ code: 0, event: 'failed' });
    expect(message).toMatch(/OFFHOOK_UNAUTHORIZED/);
    expect(message).toMatch(/host 127\.0\.0\.1:\d+, after \d+ ms/);
  });

  test('with an expired token fails, and says so', async () => {
    const { apiKey, apiSecret, url } = house.server;
    const expired = new AccessToken(apiKey, apiSecret, { identity: 'me', ttl: -60 });
    expired.addGrant({ roomJoin: true, room: house.room });
    const { event, message } = await connectOnce(url, await expired.toJwt());
    expect(event).toBe('failed');
    expect(message).toMatch(/expired/i);
  });

  test('with something that is no token fails, and says so', async () => {
    const { event, message } = await connectOnce(house.server.url, 'not a token');
    expect(event).toBe('failed');
    expect(message).toMatch(/token/i);
  });
});

describe('connecting to what is no LiveKit server', () => {
  const sockets = new Set<Socket>();
  const servers: Server[] = [];

  /** Listens on a free port; returns its URL. */
  function listen(onSocket: (socket: Socket) => void): Promise<string> {
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => {});
      onSocket(socket);
    });
    servers.push(server);
    return new Promise((resolve) =>
      server.listen(0, '127.0.0.1', () => {
        const address = server.address();
        resolve(`ws://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`);
      }),
    );
  }
  let token: string;
  beforeAll(async () => {
    token = await makeToken({ url: '', apiKey: 'devkey', apiSecret: 'secret'.repeat(6) }, 'room', 'me');
  });
  afterAll(() => {
    for (const socket of sockets) socket.destroy();
    for (const server of servers) server.close();
  });

  test('an unusable URL is refused', async () => {
    for (const url of ['', 'nonsense', 'ftp://127.0.0.1']) {
      const { code, event, message } = await connectOnce(url, token);
      expect({ code, event }).toEqual({ code: 0, event: 'failed' });
      expect(message, url).toMatch(/OFFHOOK_INVALID_URL/);
    }
  });

  test('a server that is not there: stage, host and time are named', async () => {
    const url = await listen(() => {});
    await new Promise((resolve) => servers.at(-1)?.close(resolve));
    const { code, event, message } = await connectOnce(url, token);
    expect({ code, event }).toEqual({ code: 0, event: 'failed' });
    expect(message).toMatch(/stage tcp, host 127\.0\.0\.1:\d+, after \d+ ms/);
  });

  test('a server that accepts and says nothing is given up at its deadline', async () => {
    const url = await listen(() => {});
    const { code, event, message, elapsedMs } = await connectOnce(url, token, {
      OFFHOOK_CONNECT_TIMEOUT_MS: '1500',
    });
    expect({ code, event }).toEqual({ code: 0, event: 'failed' });
    expect(message).toMatch(/deadline/);
    expect(message).toMatch(/stage \w+, host 127\.0\.0\.1:\d+/);
    expect(elapsedMs).toBeLessThan(6_000);
  });

  test('a server that answers with garbage is an error, not a crash', async () => {
    const url = await listen((socket) => {
      socket.on('data', () => socket.end('HTTP/1.1 200 OK\r\n\r\n\u0000\u0001garbage'));
    });
    const { code, event, message } = await connectOnce(url, token);
    expect({ code, event }).toEqual({ code: 0, event: 'failed' });
    expect(message).toMatch(/stage websocket/);
  });
});
