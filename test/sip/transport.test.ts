import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { SipEndpoint } from '../../src/sip/call/index.js';
import { ProviderLogin } from '../../src/sip/gateway/provider-login.js';
import {
  Headers,
  newTag,
  parseMessage,
  parseNameAddr,
  parseUri,
  responseTo,
  type SipRequest,
  type SipUri,
  serializeMessage,
} from '../../src/sip/message/index.js';
import { ManualClock } from '../audio/manual-clock.js';
import { GatewayHouse } from './gateway-house.js';
import { RawPeer } from './raw-peer.js';
import { until } from './until.js';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function openEndpoint(options: { port?: number; clock?: ManualClock } = {}): Promise<SipEndpoint> {
  const endpoint = await SipEndpoint.open({ host: '127.0.0.1', port: 0, ...options });
  closing.push(() => endpoint.close());
  return endpoint;
}

async function openPeer(port: number): Promise<RawPeer> {
  const peer = await RawPeer.open(port);
  closing.push(() => peer.close());
  return peer;
}

async function openConnection(port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port });
  closing.push(() => socket.destroy());
  await new Promise((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  return socket;
}

const options = (callId: string, via: string) =>
  [
    'OPTIONS sip:127.0.0.1 SIP/2.0',
    `Via: ${via};branch=z9hG4bK${callId}`,
    'From: <sip:a@127.0.0.1>;tag=1',
    'To: <sip:b@127.0.0.1>',
    `Call-ID: ${callId}`,
    'CSeq: 1 OPTIONS',
    'Content-Length: 0\r\n\r\n',
  ].join('\r\n');

describe('an answer over UDP', () => {
  test('goes to where the request came from with rport, whatever its Via says (RFC 3581)', async () => {
    const peer = await openPeer((await openEndpoint()).port);
    peer.send(options('rport', 'SIP/2.0/UDP 192.0.2.7:9;rport'));
    const [via] = (await peer.final('rport')).vias;
    expect(via!.params.get('received')).toBe('127.0.0.1');
    expect(via!.params.get('rport')).toBe(String(peer.port));
  });

  test('goes to the port of the Via without', async () => {
    const { port } = await openEndpoint();
    const [sender, named] = [await openPeer(port), await openPeer(port)];
    sender.send(options('named', `SIP/2.0/UDP 192.0.2.7:${named.port}`));
    await named.final('named');
    expect(sender.received).toEqual([]);
  });
});

describe('over TCP', () => {
  test('a keep-alive is answered, and nothing else is made of it (RFC 5626)', async () => {
    const socket = await openConnection((await openEndpoint()).port);
    let received = '';
    socket.on('data', (chunk) => {
      received += chunk.toString();
    });
    socket.write('\r\n\r\n');
    await until(() => received === '\r\n', 'the keep-alive is answered');
    socket.write(`\r\n\r\n${options('tcp', 'SIP/2.0/TCP 127.0.0.1')}`);
    await until(() => received.includes('Call-ID: tcp'), 'the request is answered');
    expect(received).toMatch(/^\r\n\r\nSIP\/2\.0 200/);
  });

  test('one address holds no more than fifty connections', async () => {
    const { port } = await openEndpoint();
    const sockets: Socket[] = [];
    for (let i = 0; i < 50; i++) sockets.push(await openConnection(port));
    const oneMore = await openConnection(port);
    oneMore.on('error', () => {});
    await until(() => oneMore.destroyed, 'the next one is closed');
    expect(sockets.filter(({ destroyed }) => destroyed)).toEqual([]);
  });
});

describe('a request over TCP', () => {
  const invite = (port: number): SipRequest => {
    const uri = parseUri(`sip:b@127.0.0.1:${port}`) as SipUri;
    return {
      ...{ kind: 'request', method: 'INVITE', uri, vias: [], body: Buffer.alloc(0), headers: new Headers() },
      ...{ from: parseNameAddr('<sip:a@127.0.0.1>;tag=1')!, to: { uri, params: new Map() } },
      ...{ callId: newTag(), cseq: { sequence: 1, method: 'INVITE' } },
    };
  };

  /** A server that says what a test wants to the first request of each connection, and closes it. */
  async function openServer(says: (request: SipRequest) => Buffer | string): Promise<number> {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', (bytes) => {
        const parsed = parseMessage(bytes);
        if (parsed.kind !== 'message' || parsed.message.kind !== 'request') return;
        socket.end(says(parsed.message));
      });
    });
    closing.push(() => server.close());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as AddressInfo).port;
  }

  const send = async (port: number) => {
    const endpoint = await openEndpoint({ clock: new ManualClock() });
    const outcome: { statuses: number[]; failed?: string } = { statuses: [] };
    let isClosed = false;
    endpoint.onFlowClosed = () => {
      isClosed = true;
    };
    const request = invite(port);
    void endpoint.requestTo(request.uri as SipUri, 'tcp', () => request, {
      onResponse: ({ status }) => outcome.statuses.push(status),
      onFailed: (why) => {
        outcome.failed = why;
      },
    });
    await until(() => isClosed, 'the connection has ended');
    return { endpoint, outcome };
  };

  test('fails at once when its connection ends before anything came', async () => {
    const { outcome, endpoint } = await send(await openServer(() => ''));
    expect(outcome).toEqual({ statuses: [], failed: 'the connection has ended' });
    expect(endpoint.transactions.size).toBe(0);
  });

  test('waits for its answer by another connection once it rings', async () => {
    const rings = (request: SipRequest) => serializeMessage(responseTo(request, 180, { toTag: 'b' }));
    const { outcome, endpoint } = await send(await openServer(rings));
    expect(outcome).toEqual({ statuses: [180] });
    expect(endpoint.transactions.size).toBe(1);
  });
});

describe('a request that is too long for a datagram', () => {
  const invite = (port: number): SipRequest => {
    const uri = parseUri(`sip:b@127.0.0.1:${port}`) as SipUri;
    return {
      kind: 'request',
      method: 'OPTIONS',
      uri,
      vias: [],
      from: parseNameAddr('<sip:a@127.0.0.1>;tag=1')!,
      to: { uri, params: new Map() },
      callId: newTag(),
      cseq: { sequence: 1, method: 'OPTIONS' },
      headers: Headers.of({ 'X-Long': 'x'.repeat(2_000) }),
      body: Buffer.alloc(0),
    };
  };
  const send = (from: SipEndpoint, port: number) => {
    const request = invite(port);
    const outcome: { status?: number } = {};
    void from.requestTo(request.uri as SipUri, 'udp', () => request, {
      onResponse: ({ status }) => {
        outcome.status = status;
      },
      onFailed: () => {},
    });
    return outcome;
  };

  test('goes over TCP', async () => {
    const [from, to] = [await openEndpoint(), await openEndpoint()];
    const came: string[] = [];
    to.onTrace = ({ direction, flow }) => {
      if (direction === 'in') came.push(flow.protocol);
    };
    const outcome = send(from, to.port);
    await until(() => outcome.status === 200, 'it is answered');
    expect(came).toEqual(['tcp']);
  });

  test('goes as a datagram to a peer without TCP', async () => {
    const from = await openEndpoint();
    const peer = await openPeer(from.port);
    send(from, peer.port);
    await until(() => peer.requests.length > 0, 'it has come');
    expect(peer.requests[0]!.vias[0]!.transport).toBe('UDP');
  });
});

describe('the way to a provider', () => {
  test('is kept open over UDP while we are logged in', async () => {
    const clock = new ManualClock();
    const endpoint = await openEndpoint({ clock });
    const peer = await openPeer(endpoint.port);
    const login = new ProviderLogin(endpoint, {
      registrar: `sip:127.0.0.1:${peer.port}`,
      username: 'office',
      password: 'secret',
    });
    const pings = () => peer.received.filter((bytes) => bytes.toString() === '\r\n\r\n').length;
    await until(() => peer.requests.length === 1, 'we log in');
    clock.advance(26_000);
    expect(pings()).toBe(0);
    peer.send(serializeMessage(responseTo(peer.requests[0]!, 200, { toTag: 'p', headers: new Headers() })));
    await until(() => login.isLoggedIn, 'we are logged in');
    for (let i = 1; i <= 3; i++) {
      clock.advance(25_000);
      await until(() => pings() === i, 'the NAT sees that the way is used');
    }
    const loggedOut = login.close();
    clock.advance(60_000);
    await loggedOut;
    expect(clock.pendingTimers - endpoint.transactions.size).toBe(0);
  });

  test('is sought again when its connection ends', async () => {
    const accept = (endpoint: SipEndpoint) => {
      endpoint.onRegister = ({ request, transaction }) => {
        logins++;
        endpoint.respond(transaction, responseTo(request, 200, { toTag: newTag() }));
      };
    };
    let logins = 0;
    const before = await SipEndpoint.open({ host: '127.0.0.1', port: 0 });
    const { port } = before;
    accept(before);
    const registrar = `sip:127.0.0.1:${port};transport=tcp`;
    const house = await GatewayHouse.open({
      registrations: [{ registrar, username: 'office', password: 'x' }],
    });
    closing.push(() => house.close());
    await until(() => logins === 1, 'we are logged in');
    await before.close();
    accept(await openEndpoint({ port }));
    await until(() => logins === 2, 'we are logged in again');
  });
});
