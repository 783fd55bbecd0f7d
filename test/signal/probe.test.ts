import { JoinResponse, ServerInfo } from '@livekit/protocol';
import { describe, expect, test } from 'vitest';
import { type ProbeOptions, type ProbeStep, probeServer } from '../../src/signal/index.js';
import { freeTcpPort } from '../support/livekit-server.mjs';
import { Authority, type Certificate, hasOpenssl } from './certificates.js';
import { deadAddress } from './dead-address.js';
import { fakeServer, say } from './fake-server.js';
import { nameServer } from './name-server.js';
import { track } from './track.js';

async function stepsOf(url: string, more: Partial<ProbeOptions> = {}): Promise<ProbeStep[]> {
  const steps: ProbeStep[] = [];
  const options = { token: 'a.b.c', signal: new AbortController().signal, ...more };
  for await (const step of probeServer(url, options)) steps.push(step);
  return steps;
}

const outlines = (steps: ProbeStep[]) => steps.map(({ name, outcome }) => `${name}: ${outcome}`);

const room = async (certificate?: Certificate, status = 200) =>
  track(
    await fakeServer(
      (socket) => {
        const serverInfo = new ServerInfo({ version: '1.2.3', region: 'here' });
        say(socket, { case: 'join', value: new JoinResponse({ serverInfo, room: { name: 'kitchen' } }) });
      },
      {
        certificate,
        answer: (_, response) => response.writeHead(status).end(status === 200 ? 'success' : 'no such room'),
      },
    ),
  );
const names = async (addresses: string[]) => track(await nameServer({ 'rooms.test': { addresses } }));

test('a server that works: every step apart, with what was found', async () => {
  const { port } = await room();
  const dns = await names(['127.0.0.1']);
  const steps = await stepsOf(`ws://rooms.test:${port}`, { nameServers: [dns.server] });
  expect(outlines(steps)).toEqual([
    'DNS, IPv4: ok',
    'DNS, IPv6: skipped',
    'TCP to 127.0.0.1: ok',
    'token: ok',
    'WebSocket: ok',
    'join: ok',
  ]);
  expect(steps.at(-1)!.says).toBe('joined kitchen as undefined; server 1.2.3, region here');
});

test('a name that nobody knows ends it there', async () => {
  const dns = await names([]);
  const steps = await stepsOf('ws://nowhere.invalid:1', { nameServers: [dns.server] });
  expect(outlines(steps)).toEqual(['DNS, IPv4: failed', 'DNS, IPv6: failed', 'DNS, all ways: failed']);
  expect(steps[0]!.says).toContain('ENOTFOUND');
});

test.skipIf(process.platform !== 'linux')('one dead address of two is a warning', async () => {
  const { port } = await room();
  track(await deadAddress('127.0.0.77', port));
  const dns = await names(['127.0.0.77', '127.0.0.1']);
  const steps = await stepsOf(`ws://rooms.test:${port}`, { nameServers: [dns.server] });
  expect(outlines(steps)).toContain('TCP to 127.0.0.77: warning');
  expect(outlines(steps).at(-1)).toBe('join: ok');
});

test('a server that is not there, and one that refuses', async () => {
  const gone = await stepsOf(`ws://127.0.0.1:${await freeTcpPort()}`);
  expect(outlines(gone)).toEqual(['TCP to 127.0.0.1: failed']);
  expect(gone[0]!.advice).toContain('Nothing listens there');

  const { url } = await room(undefined, 401);
  const refused = await stepsOf(url);
  expect(outlines(refused)).toEqual(['TCP to 127.0.0.1: ok', 'token: failed']);
  expect(refused[1]).toMatchObject({ says: 'the server refuses the token: HTTP 401, no such room' });
});

test('a WebSocket that stays silent is distinguished from one that does not open', async () => {
  const mute = track(await fakeServer(() => {}, { answer: (_, response) => response.end('success') }));
  process.env.OFFHOOK_JOIN_TIMEOUT_MS = '100';
  const steps = await stepsOf(mute.url).finally(() => {
    delete process.env.OFFHOOK_JOIN_TIMEOUT_MS;
  });
  expect(outlines(steps).slice(-2)).toEqual(['WebSocket: ok', 'join: failed']);
});

describe.skipIf(!hasOpenssl)('certificates (skipped where openssl is absent)', () => {
  test('are described, and a bad one ends it there', async () => {
    const authority = track(new Authority());
    const dns = await names(['127.0.0.1']);
    const look = async (certificate: Certificate) => {
      const { port } = await room(certificate);
      const options = { nameServers: [dns.server], ca: authority.cert };
      return (await stepsOf(`wss://rooms.test:${port}`, options)).slice(3);
    };
    const [soon] = await look(authority.issue('rooms.test'));
    expect(soon).toMatchObject({ name: 'TLS', outcome: 'warning' });
    expect(soon!.says).toContain('certificate of rooms.test, from Test authority, valid for 1 days');

    const expired = await look(authority.issue('rooms.test', -1));
    expect(outlines(expired)).toEqual(['TLS: failed']);
    expect(expired[0]!.says).toContain('has expired');
  });
});
