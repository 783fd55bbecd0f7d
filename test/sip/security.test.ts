import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { SIPInboundTrunkInfo, SIPTransport } from '@livekit/protocol';
import { SipClient } from 'livekit-server-sdk';
import { afterEach, describe, expect, test } from 'vitest';
import { SipDirectory, type SipGatewayOptions } from '../../src/sip/index.js';
import { devKeys, GatewayHouse } from './gateway-house.js';
import { plainSdp, RawPeer, requestOf } from './raw-peer.js';
import { until } from './until.js';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function open(options: Partial<SipGatewayOptions> = {}): Promise<GatewayHouse> {
  const house = await GatewayHouse.open(options);
  closing.push(() => house.close());
  return house;
}

async function peerOf({ gateway }: GatewayHouse, address?: string): Promise<RawPeer> {
  const peer = await RawPeer.open(gateway.port, address);
  closing.push(() => peer.close());
  return peer;
}

/** Time for an answer that must not come, and for its first repetition (RFC 3261: 500 ms, then 1 s). */
const noAnswer = () => new Promise((resolve) => setTimeout(resolve, 1_700));

/** A gateway that has a trunk for another number, so that nobody here is known to it. */
function strangersOnly(): SipDirectory {
  const directory = new SipDirectory();
  directory.addInbound(new SIPInboundTrunkInfo({ numbers: ['+4930111'] }));
  return directory;
}

/** Whether an address's port is free: it is not where somebody listens on it, or on every address. */
function isFree(protocol: 'udp' | 'tcp', port: number, address: string): Promise<boolean> {
  return new Promise((resolve) => {
    if (protocol === 'tcp') {
      const server = createServer();
      server.once('error', () => resolve(false));
      server.listen(port, address, () => server.close(() => resolve(true)));
    } else {
      const socket = createSocket('udp4');
      socket.once('error', () => {
        socket.close();
        resolve(false);
      });
      socket.bind(port, address, () => socket.close(() => resolve(true)));
    }
  });
}

async function expectLoopbackOnly(ports: ['udp' | 'tcp', number][]): Promise<void> {
  for (const [protocol, port] of ports) {
    const free = [await isFree(protocol, port, '127.0.0.1'), await isFree(protocol, port, '127.0.0.2')];
    expect(free, `${protocol} port ${port} at 127.0.0.1, and at another address`).toEqual([false, true]);
  }
}

describe('without an option that names another address', () => {
  test('a gateway listens on loopback alone, for messages and for the media of calls', async () => {
    const house = await open({ earlyMedia: true });
    const { port } = house.gateway;
    const peer = await peerOf(house);
    peer.send(requestOf(peer, 'INVITE', 'media', [], plainSdp));
    const progress = () => peer.responses('media').find(({ status }) => status === 183);
    await until(() => progress() !== undefined, 'the gateway says where its media is');
    const mediaPort = Number(/m=audio (\d+)/.exec(progress()!.body.toString())![1]);
    await expectLoopbackOnly([
      ['udp', port],
      ['tcp', port],
      ['udp', mediaPort],
      ['udp', mediaPort + 1],
    ]);
  });

  const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
  test.each([
    ['dev', ['--port', '0', '--sip']],
    ['sip', ['--url', 'wss://rooms.invalid', '--api-key', 'key', '--api-secret', 'secret']],
  ])('`offhook %s` listens on loopback alone', async (command, options) => {
    const child = spawn(process.execPath, [main, command, ...options, '--sip-port', '0']);
    closing.push(() => child.kill('SIGKILL'));
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        output += String(chunk);
      });
    }
    const listening = () => /Telephones +sip:anything@(\S+):(\d+) /.exec(output);
    await until(() => listening() !== null, `the gateway is there: ${output}`);
    const [, host, port] = listening()!;
    expect(host).toBe('127.0.0.1');
    await expectLoopbackOnly([
      ['udp', Number(port)],
      ['tcp', Number(port)],
    ]);
  });
});

describe('who is heard', () => {
  test('with nothing set up: only this machine, by its loopback address', async () => {
    const house = await open();
    // Another address of the same interface, on which a gateway that listened on all would be heard.
    const elsewhere = await peerOf(house, '127.0.0.2');
    elsewhere.send(requestOf(elsewhere, 'OPTIONS', 'elsewhere'));
    const peer = await peerOf(house);
    peer.send(requestOf(peer, 'OPTIONS', 'here'));
    expect((await peer.final('here')).status).toBe(200);
    expect(elsewhere.received).toEqual([]);
  });

  test('a scanner gets no answer, and what is malformed costs nothing', async () => {
    const house = await open();
    const peer = await peerOf(house);
    for (let i = 0; i < 200; i++) peer.send(Buffer.from(`INVITE sip:${i} SIP/2.0\r\nVia: nonsense\r\n\r\n`));
    peer.send(requestOf(peer, 'OPTIONS', 'after'));
    await peer.final('after');
    expect(peer.received).toHaveLength(1);
    expect(house.gateway.counts().transactions).toBe(1);
    peer.send(requestOf(peer, 'OPTIONS', 'scan', ['User-Agent: friendly-scanner']));
    await noAnswer();
    expect(peer.received).toHaveLength(1);
  });

  test('a flood of messages is cut off, and what comes later is answered again', async () => {
    const house = await open({ limits: { messages: { perSecond: 20, burst: 10 } } });
    const peer = await peerOf(house);
    for (let i = 0; i < 100; i++) peer.send(requestOf(peer, 'OPTIONS', `flood${i}`));
    await noAnswer();
    expect(peer.received.length).toBeGreaterThanOrEqual(10);
    expect(peer.received.length).toBeLessThan(50);
    peer.send(requestOf(peer, 'OPTIONS', 'later'));
    expect((await peer.final('later')).status).toBe(200);
  });

  test('passwords are guessed until nobody listens any more', async () => {
    const peer = await peerOf(await open({ users: new Map([['alice', 'secret']]) }));
    const guess =
      'Authorization: Digest username="alice", realm="offhook", nonce="x", uri="sip:x", response="0"';
    peer.send(requestOf(peer, 'REGISTER', 'guess0', [guess]));
    const asked = await peer.final('guess0');
    const nonce = /nonce="([^"]+)"/.exec(asked.headers.get('WWW-Authenticate')!)![1];
    for (let i = 1; i <= 8; i++) {
      peer.send(requestOf(peer, 'REGISTER', `guess${i}`, [guess.replace('nonce="x"', `nonce="${nonce}"`)]));
      expect((await peer.final(`guess${i}`)).status).toBe(401);
    }
    const before = peer.received.length;
    peer.send(requestOf(peer, 'OPTIONS', 'anybody'));
    await noAnswer();
    expect(peer.received.length).toBe(before);
  });
});

describe('calls that come in', () => {
  test('faster than an address may make them are refused, and say when to try again', async () => {
    const house = await open({ limits: { calls: { perSecond: 1, burst: 2 } } });
    const peer = await peerOf(house);
    for (const callId of ['a', 'b', 'c']) peer.send(requestOf(peer, 'INVITE', callId, [], plainSdp));
    const refused = await peer.final('c');
    expect([refused.status, refused.headers.get('Retry-After')]).toEqual([503, '10']);
    expect(house.gateway.counts().calls).toBe(2);
  });

  test('beyond the most at once are refused', async () => {
    const house = await open({ maxCalls: 1 });
    const peer = await peerOf(house);
    for (const callId of ['first', 'second']) peer.send(requestOf(peer, 'INVITE', callId, [], plainSdp));
    expect((await peer.final('second')).status).toBe(503);
    expect(house.gateway.counts().calls).toBe(1);
  });

  test('by two ways through a forking proxy are one call: the second is refused with 482', async () => {
    const house = await open();
    const peer = await peerOf(house);
    const invite = requestOf(peer, 'INVITE', 'forked', [], plainSdp);
    peer.send(invite);
    peer.send(invite.replace('branch=z9hG4bKforked', 'branch=z9hG4bKother'));
    expect((await peer.final('forked')).status).toBe(482);
    expect(house.gateway.counts().calls).toBe(1);
  });

  test.each([
    ['of no trunk', { directory: strangersOnly() }, 404],
    ['without credentials, where users are set up', { users: new Map([['alice', 'secret']]) }, 401],
  ])('%s are refused once, without amplifying what came', async (_who, options, status) => {
    const house = await open(options);
    const peer = await peerOf(house);
    const invite = requestOf(peer, 'INVITE', 'stranger', [], plainSdp);
    peer.send(invite);
    expect((await peer.final('stranger')).status).toBe(status);
    // Its address may be a lie: whoever has it gets no repetitions, though no ACK comes.
    await noAnswer();
    expect(peer.responses('stranger').map((response) => response.status)).toEqual([status]);
    const bytes = peer.received.reduce((sum, { length }) => sum + length, 0);
    expect(bytes).toBeLessThan(2 * invite.length);
    expect(house.gateway.counts()).toMatchObject({ calls: 0, dialogs: 0 });
  });
});

describe('calls that go out', () => {
  const clientOf = ({ server }: GatewayHouse) =>
    new SipClient(server.url.replace('ws:', 'http:'), devKeys.apiKey, devKeys.apiSecret);
  const transport = SIPTransport.SIP_TRANSPORT_UDP;

  test('go only to what the gateway allows, by every trunk', async () => {
    const client = clientOf(await open({ allowedDestinations: ['+49'] }));
    const { sipTrunkId } = await client.createSipOutboundTrunk('out', '127.0.0.1:9', ['+49301'], {
      transport,
    });
    const refusal = { code: 'invalid_argument', message: expect.stringContaining('not allowed') };
    await expect(client.createSipParticipant(sipTrunkId, '+1900555', 'room')).rejects.toMatchObject(refusal);
    const own = { hostname: '127.0.0.1:9', transport };
    const byOwn = client.createSipParticipant('', '+1900555', 'room', {}, own as never);
    await expect(byOwn).rejects.toMatchObject(refusal);
  });

  test('show only a number that the trunk has, and are written by no trick into the address', async () => {
    const client = clientOf(await open());
    const { sipTrunkId } = await client.createSipOutboundTrunk('out', '127.0.0.1:9', ['+49301'], {
      transport,
    });
    const refused = (number: string, options = {}) =>
      expect(client.createSipParticipant(sipTrunkId, number, 'room', options)).rejects.toMatchObject({
        code: 'invalid_argument',
      });
    await refused('+4930555', { fromNumber: '+1900555' });
    for (const number of ['1@evil.test', '1;lr', '1 ', '1\r\nX: y', `${'1'.repeat(65)}`, '']) {
      await refused(number);
    }
    await expect(client.createSipParticipant('ST_none', '+4930555', 'room')).rejects.toMatchObject({
      code: 'invalid_argument',
    });
  });

  test('are no more at once than the gateway allows', async () => {
    const house = await open({ maxOutboundCalls: 1 });
    const client = clientOf(house);
    const { sipTrunkId } = await client.createSipOutboundTrunk('out', '127.0.0.1:9', ['+49301'], {
      transport,
    });
    await client.createSipParticipant(sipTrunkId, '+4930555', 'room');
    await expect(client.createSipParticipant(sipTrunkId, '+4930556', 'room')).rejects.toMatchObject({
      code: 'invalid_argument',
      message: expect.stringContaining('too many'),
    });
    for (const call of [...house.gateway.calls.values()]) call.end('test is over');
    await until(() => house.gateway.counts().calls === 0, 'the call is over');
  });
});
