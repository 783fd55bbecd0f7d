import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { JoinResponse } from '@livekit/protocol';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SignalClient } from '../../src/signal/index.js';
import { fakeServer, say, silentServer } from './fake-server.js';
import { nameServer } from './name-server.js';
import { failureOf, optionsFor } from './open.js';
import { track } from './track.js';

beforeEach(() => {
  for (const name of ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY']) {
    vi.stubEnv(name, undefined);
    vi.stubEnv(name.toLowerCase(), undefined);
  }
});
afterEach(() => {
  vi.unstubAllEnvs();
});

/** An HTTP proxy that knows one host, rooms.test, on this machine. */
async function proxyServer(refusal?: number) {
  const asked: IncomingMessage[] = [];
  const sockets = new Set<Socket>();
  const server = createServer();
  server.on('connect', (request, socket: Socket) => {
    asked.push(request);
    sockets.add(socket);
    socket.on('error', () => {});
    const [host, port] = request.url!.split(':');
    if (refusal !== undefined || host !== 'rooms.test') {
      socket.end(`HTTP/1.1 ${refusal ?? 502} No\r\n\r\n`);
      return;
    }
    const target = connect(Number(port), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      socket.pipe(target).pipe(socket);
    });
    target.on('error', () => socket.destroy());
    sockets.add(target);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  };
  return track({ url: `127.0.0.1:${(server.address() as AddressInfo).port}`, asked, close });
}

const room = async () =>
  track(await fakeServer((socket) => say(socket, { case: 'join', value: new JoinResponse() })));

test('a server is reached through the proxy of the environment, which resolves its name', async () => {
  const { port } = await room();
  const proxy = await proxyServer();
  vi.stubEnv('HTTP_PROXY', `http://user:pass%20word@${proxy.url}`);
  const options = optionsFor(`ws://rooms.test:${port}`);
  track(await SignalClient.open(options));
  expect(proxy.asked.map(({ url }) => url)).toEqual([`rooms.test:${port}`]);
  const credentials = Buffer.from('user:pass word').toString('base64');
  expect(proxy.asked[0]!.headers['proxy-authorization']).toBe(`Basic ${credentials}`);
  expect(options.timeline.spans.map(({ stage, host }) => `${stage} ${host}`)).toEqual([
    `tcp ${proxy.url}`,
    `tcp rooms.test:${port}`,
    `websocket rooms.test:${port}`,
    `join rooms.test:${port}`,
  ]);
});

test('NO_PROXY, and this machine itself, are reached without it', async () => {
  const { port } = await room();
  const proxy = await proxyServer();
  const dns = track(await nameServer({ 'rooms.test': { addresses: ['127.0.0.1'] } }));
  vi.stubEnv('HTTP_PROXY', `http://${proxy.url}`);
  vi.stubEnv('NO_PROXY', 'example.test,.rooms.test,rooms.test');
  for (const host of ['rooms.test', '127.0.0.1', 'localhost']) {
    track(
      await SignalClient.open(optionsFor(`ws://${host}:${port}`, undefined, { nameServers: [dns.server] })),
    );
  }
  expect(proxy.asked).toEqual([]);
});

test('a proxy that refuses, is mute or is no HTTP proxy is named', async () => {
  const refusing = await proxyServer(407);
  vi.stubEnv('HTTP_PROXY', `http://${refusing.url}`);
  const refused = await failureOf(optionsFor('ws://rooms.test:1'));
  expect(refused).toMatchObject({ code: 'OFFHOOK_UNREACHABLE', host: refusing.url });
  expect(refused.message).toContain('HTTP 407');
  expect(refused.advice).toContain('user name and password');

  const silent = track(await silentServer());
  vi.stubEnv('HTTP_PROXY', `http://127.0.0.1:${silent.port}`);
  const options = optionsFor('ws://rooms.test:1');
  options.deadlines.tcp = 100;
  expect(await failureOf(options)).toMatchObject({ code: 'OFFHOOK_DEADLINE', stage: 'tcp' });
  await vi.waitFor(async () => expect(await silent.connections()).toBe(0), 5_000);

  vi.stubEnv('HTTP_PROXY', 'socks5://alice:secret@127.0.0.1:1080');
  const unusable = await failureOf(optionsFor('ws://rooms.test:1'));
  expect(unusable).toMatchObject({ code: 'OFFHOOK_INVALID_URL' });
  expect(unusable.toLine()).toContain('socks5:');
  expect(unusable.toLine()).not.toContain('secret');
});
