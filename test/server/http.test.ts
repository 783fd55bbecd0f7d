import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { setLogSink } from '../../src/logging/index.js';
import { HttpListener } from '../../src/server/http-listener.js';
import { HttpRouter } from '../../src/server/http-router.js';
import { type RoomServer, startServer } from '../../src/server/index.js';
import { limits } from '../../src/server/limits.js';
import { signClaims, signToken } from './signal-peer.js';

/**
 * All that comes until the connection ends, or until `enough` of it has come. A reset after the answer, for what was still
 * being sent, is no failure: whether Node reports it depends on its version.
 */
function answer(socket: Socket, enough = /(?!)/): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    socket.on('data', (chunk) => {
      text += String(chunk);
      if (enough.test(text)) resolve(text);
    });
    socket.once('close', () => resolve(text));
  });
}

const createRoom = '/twirp/livekit.RoomService/CreateRoom';

describe('the HTTP side of the room server', () => {
  let server: RoomServer;
  let sockets: Socket[] = [];

  beforeAll(async () => {
    server = await startServer({ port: 0 });
  });
  afterEach(() => {
    for (const socket of sockets) socket.destroy();
    sockets = [];
  });
  afterAll(() => server.close());

  async function open(): Promise<Socket> {
    const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
    socket.on('error', () => {});
    sockets.push(socket);
    await once(socket, 'connect');
    return socket;
  }

  const admin = () => signToken('caller', { roomCreate: true });
  const head = async (token: string | undefined, length: number, ...more: string[]) =>
    [
      `POST ${createRoom} HTTP/1.1`,
      'Host: x',
      'Content-Type: application/json',
      `Content-Length: ${length}`,
      ...(token === undefined ? [] : [`Authorization: Bearer ${token}`]),
      ...more,
      '',
      '',
    ].join('\r\n');

  test.each<[string, () => Promise<string> | undefined, number, number]>([
    ['without a token', () => undefined, 1_000_000, 401],
    ['with a token that is none', () => Promise.resolve('x.y.z'), 1_000_000, 401],
    ['with a token without the grant', () => signToken('caller', { roomList: true }), 1_000_000, 401],
    ['of too many bytes', admin, 5_000_000, 413],
  ])('a request %s is refused before its body is read', async (_what, token, length, status) => {
    const socket = await open();
    // Nothing of the body is sent: who waits for it does not answer.
    socket.write(await head(await token(), length));
    expect(await answer(socket, /\r\n\r\n/)).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  });

  test('a client that goes on sending gets to read why it was refused', async () => {
    const socket = await open();
    const length = 12_000_000;
    socket.write(await head(await admin(), length));
    socket.write(Buffer.alloc(length, ' '));
    expect(await answer(socket)).toMatch(/^HTTP\/1.1 413 [\s\S]*request body too large$/);
  });

  test('a body without a length is read up to the limit', async () => {
    const socket = await open();
    const request = (await head(await admin(), 0)).replace('Content-Length: 0', 'Transfer-Encoding: chunked');
    socket.write(request);
    const chunk = Buffer.alloc(65_536, ' ');
    for (let i = 0; i < 100; i++)
      socket.write(Buffer.concat([Buffer.from('10000\r\n'), chunk, Buffer.from('\r\n')]));
    expect(await answer(socket, /too large/)).toMatch(/^HTTP\/1.1 413 /);
  });

  test('a client that asks first is told to go on only when it may', async () => {
    const allowed = await open();
    const body = '{"name":"asked"}';
    allowed.write(await head(await admin(), body.length, 'Expect: 100-continue'));
    await answer(allowed, /100 Continue\r\n\r\n/).catch(() => '');
    const refused = await open();
    refused.write(await head(undefined, body.length, 'Expect: 100-continue'));
    const text = await answer(refused, /\r\n\r\n/);
    expect(text).toMatch(/^HTTP\/1.1 401 /);
  });

  test.each(['DELETE', 'PUT', 'POST'])('%s of a page is not allowed', async (method) => {
    const response = await fetch(server.url.replace('ws', 'http'), { method });
    expect(response.status).toBe(405);
  });

  test('a token of a hundred kilobytes is taken', async () => {
    const claims = { metadata: 'm'.repeat(60_000), attributes: { a: 'x'.repeat(20_000) } };
    const token = await signClaims({ sub: 'ada', video: { roomJoin: true, room: 'r' }, ...claims });
    expect(token.length).toBeGreaterThan(100_000);
    const url = `${server.url.replace('ws', 'http')}/rtc/validate`;
    expect((await fetch(url, { headers: { Authorization: `Bearer ${token}` } })).status).toBe(200);
    expect((await fetch(`${url}?access_token=${token}`)).status).toBe(200);
  });

  test('a connection that sends requests without waiting for their answers is cut', async () => {
    const request = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';
    const { value: most } = limits.pipelinedRequests;
    const modest = await open();
    modest.write(request.repeat(most));
    await answer(modest, new RegExp(`(?:HTTP/1.1 200 OK[^]*){${most}}`));
    const pages = vi.spyOn(HttpRouter.prototype, 'handle');
    const greedy = await open();
    greedy.write(request.repeat(2_000));
    await answer(greedy);
    expect(pages.mock.calls.length).toBe(most);
    pages.mockRestore();
    // One after the other there may be any number.
    for (let i = 0; i < 3 * most; i++) {
      modest.write(request);
      await answer(modest, /200 OK/);
    }
  });

  test('headers without an end are refused', async () => {
    const socket = await open();
    socket.write(`GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(limits.httpHeaderBytes.value + 1_000)}`);
    expect(await answer(socket)).toMatch(/^HTTP\/1.1 431 /);
  });

  test('a page of another origin may send a token', async () => {
    const response = await fetch(`${server.url.replace('ws', 'http')}${createRoom}`, {
      method: 'OPTIONS',
      headers: {
        Origin: 'https://example.org',
        'Access-Control-Request-Method': 'POST',
        'Access-Control-Request-Headers': 'authorization,content-type',
      },
    });
    expect(response.status).toBe(204);
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
    // A wildcard alone does not stand for it.
    expect(response.headers.get('access-control-allow-headers')).toMatch(/authorization/i);
    expect(response.headers.get('access-control-allow-methods')).toMatch(/POST/);
  });

  test.each(['GET', 'POST'])('%s with the wish for HTTP/2 is answered in HTTP/1.1', async (method) => {
    const socket = await open();
    const body = '{"name":"upgraded"}';
    const lines = [
      `${method} ${method === 'GET' ? '/' : createRoom} HTTP/1.1`,
      'Host: x',
      'Connection: Upgrade, HTTP2-Settings',
      'Upgrade: h2c',
      'HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA',
      `Authorization: Bearer ${await admin()}`,
      'Content-Type: application/json',
      ...(method === 'GET' ? [] : [`Content-Length: ${body.length}`]),
    ];
    socket.write(`${lines.join('\r\n')}\r\n\r\n${method === 'GET' ? '' : body}`);
    const text = await answer(socket, method === 'GET' ? /OK$/ : /upgraded/);
    expect(text).toMatch(/^HTTP\/1.1 200 /);
  });

  test('a connection that keeps asking for HTTP/2 is closed behind its second answer', async () => {
    const socket = await open();
    const closed = once(socket, 'close');
    const ask = () =>
      socket.write(
        'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n',
      );
    const first = answer(socket, /OK$/);
    ask();
    expect(await first).not.toMatch(/connection: close/i);
    const second = answer(socket, /OK$/);
    ask();
    expect(await second).toMatch(/connection: close/i);
    await closed;
  });

  test('a refused upgrade leaves no connection open', async () => {
    const socket = await open();
    socket.write(
      'GET /rtc HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
        'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
    );
    expect(await answer(socket)).toMatch(/^HTTP\/1.1 401 /);
  });

  test('what a client says of itself writes no lines into the log', async () => {
    const logged: string[] = [];
    setLogSink(({ message }) => logged.push(message), 'debug');
    try {
      const token = await signClaims({
        sub: 'ada\n1970 error: forged',
        video: { roomJoin: true, room: 'r\r\nx' },
      });
      const query = new URLSearchParams({ access_token: token, version: '1\n2\u001b[31m', sdk: 'js\u2028' });
      const { WebSocket } = await import('ws');
      const socket = new WebSocket(`${server.url}/rtc?${query}`);
      await once(socket, 'message');
      socket.terminate();
      expect(logged.some((line) => line.includes('joined'))).toBe(true);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
      for (const line of logged) expect(line).not.toMatch(/[\u0000-\u001f\u007f\u2028]/);
    } finally {
      setLogSink(() => {});
    }
  });
});

describe('a request that drips', () => {
  let listener: HttpListener;

  afterEach(() => listener.close());

  test('is ended at its deadline', async () => {
    const router = new HttpRouter().post('/', () =>
      Promise.resolve(() => ({ contentType: 'text/plain', body: '' })),
    );
    listener = new HttpListener(router, {}, { requestMs: 300, headerMs: 200, checkMs: 50 });
    const port = await listener.listen(0, '127.0.0.1');
    for (const text of [
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n',
      'POST / HTTP/1.1\r\nHost: ',
    ]) {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => {});
      socket.write(text);
      const drip = setInterval(() => socket.write('x'), 20);
      const startMs = performance.now();
      const answered = await answer(socket);
      clearInterval(drip);
      expect(answered).toMatch(/^HTTP\/1.1 408 /);
      expect(performance.now() - startMs).toBeLessThan(5_000);
    }
  });
});
