import { JoinResponse } from '@livekit/protocol';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { defaultDeadlinesMs } from '../../src/deadlines/index.js';
import { SignalClient, type SignalOptions } from '../../src/signal/index.js';
import { Authority, type Certificate, hasOpenssl } from './certificates.js';
import { fakeServer, say, silentServer } from './fake-server.js';
import { nameServer } from './name-server.js';
import { failureOf, optionsFor } from './open.js';

describe.skipIf(!hasOpenssl)('TLS (skipped where openssl is absent)', () => {
  let authority: Authority;
  let dns: Awaited<ReturnType<typeof nameServer>>;
  const servers: { close(): unknown }[] = [];
  beforeAll(async () => {
    authority = new Authority();
    dns = await nameServer({ 'rooms.test': { addresses: ['127.0.0.1'] } });
  });
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.close();
  });
  afterAll(() => {
    dns.close();
    authority.close();
  });

  async function optionsOf(
    certificate: Certificate,
    more: Partial<SignalOptions> = {},
  ): Promise<SignalOptions> {
    const server = await fakeServer((socket) => say(socket, { case: 'join', value: new JoinResponse() }), {
      certificate,
    });
    servers.push(server);
    return optionsFor(`wss://rooms.test:${server.port}`, undefined, {
      nameServers: [dns.server],
      ca: authority.cert,
      ...more,
    });
  }

  test('a server with a good certificate is joined, and the row of tls says with which version', async () => {
    const options = await optionsOf(authority.issue('rooms.test'));
    const client = await SignalClient.open(options);
    client.close();
    expect(options.timeline.spans.map(({ stage, outcome }) => `${stage} ${outcome}`)).toEqual([
      'dns ok',
      'tcp ok',
      'tls ok',
      'websocket ok',
      'join ok',
    ]);
    expect(options.timeline.spans[2]!.detail).toBe('TLSv1.3');
  });

  test('each thing that can be wrong with a certificate is named', async () => {
    const cases: [Certificate, Partial<SignalOptions>, string][] = [
      [authority.issue('rooms.test', -1), {}, 'its certificate has expired'],
      [authority.issue('other.test'), {}, 'its certificate is for another host'],
      [authority.selfSigned('rooms.test'), {}, 'its certificate is self-signed'],
      [
        authority.issue('rooms.test'),
        { ca: undefined },
        'its certificate cannot be traced to a trusted authority',
      ],
    ];
    for (const [certificate, more, words] of cases) {
      const failure = await failureOf(await optionsOf(certificate, more));
      expect(failure).toMatchObject({ code: 'OFFHOOK_CERTIFICATE', stage: 'tls' });
      expect(failure.message).toContain(words);
      expect(failure.advice).not.toBe('');
    }
  });

  test('a server without TLS is named as such', async () => {
    const plain = await fakeServer(() => {});
    servers.push(plain);
    const failure = await failureOf(optionsFor(`wss://127.0.0.1:${plain.port}`));
    expect(failure).toMatchObject({ code: 'OFFHOOK_UNREACHABLE', stage: 'tls' });
    expect(failure.message).toContain('does not speak TLS');
  });

  test('a handshake that is swallowed ends at the deadline, and so does its socket', async () => {
    const silent = await silentServer();
    servers.push(silent);
    const deadlines = { ...defaultDeadlinesMs, tls: 100 };
    const failure = await failureOf(optionsFor(`wss://127.0.0.1:${silent.port}`, undefined, { deadlines }));
    expect(failure).toMatchObject({ code: 'OFFHOOK_DEADLINE', stage: 'tls' });
    await vi.waitFor(async () => expect(await silent.connections()).toBe(0), 5_000);
  });
});
