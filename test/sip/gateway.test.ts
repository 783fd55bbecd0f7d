import { RoomServiceClient } from 'livekit-server-sdk';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type LogRecord, setLogSink } from '../../src/logging/index.js';
import { describeWith } from '../support/parts.js';
import { devKeys, GatewayHouse } from './gateway-house.js';
import { Kamailio } from './kamailio.js';
import { RawPeer } from './raw-peer.js';
import { playSipp } from './sipp.js';
import { until } from './until.js';
import { ToneWorker } from './worker.js';

const sdp = [
  'v=0',
  'o=- 1 1 IN IP4 127.0.0.1',
  's=-',
  'c=IN IP4 127.0.0.1',
  't=0 0',
  'm=audio 4000 RTP/AVP 0',
  '',
].join('\r\n');

function request(peer: RawPeer, method: string, callId: string, more: string[] = [], body = ''): string {
  return [
    `${method} sip:1234@127.0.0.1 SIP/2.0`,
    `Via: SIP/2.0/UDP 127.0.0.1:${peer.port};branch=z9hG4bK${callId};rport`,
    `From: <sip:caller@127.0.0.1>;tag=${callId}`,
    'To: <sip:1234@127.0.0.1>',
    `Call-ID: ${callId}`,
    `CSeq: 1 ${method}`,
    `Contact: <sip:caller@127.0.0.1:${peer.port}>`,
    'Max-Forwards: 70',
    ...(body ? ['Content-Type: application/sdp'] : []),
    ...more,
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\r\n');
}

/** Sockets and timers of this process, without those by which SIP's transactions wait for repetitions (32 s). */
function heldResources({ gateway }: GatewayHouse): { sockets: number; timers: number } {
  const held = process.getActiveResourcesInfo();
  const count = (kind: string) => held.filter((one) => one === kind).length;
  return {
    sockets: count('UDPWrap') + count('TCPSocketWrap'),
    timers: count('Timeout') - gateway.counts().transactions,
  };
}

describe('callers who give up at any moment', () => {
  const count = 150;
  /** Slow enough for one process that is telephones, gateway, room server and agents at once. */
  const betweenMs = 60;
  let house: GatewayHouse;
  let worker: ToneWorker;
  let peer: RawPeer;

  beforeAll(async () => {
    const plenty = { perSecond: 10_000, burst: 10_000 };
    house = await GatewayHouse.open({ limits: { calls: plenty, messages: plenty } });
    worker = await ToneWorker.start(house.server);
    worker.staysToTheEnd = true;
    peer = await RawPeer.open(house.gateway.port);
  });
  afterAll(async () => {
    peer.close();
    await worker.stop();
    await house.close();
  });

  /** One call that is given up after `ringsMs`; resolves with its final status and how long after CANCEL that came. */
  async function giveUp(callId: string, ringsMs: number): Promise<{ status: number; cancelMs: number }> {
    peer.send(request(peer, 'INVITE', callId, [], sdp));
    await new Promise((resolve) => setTimeout(resolve, ringsMs));
    const cancelledMs = performance.now();
    peer.send(request(peer, 'CANCEL', callId));
    const { status, to } = await peer.final(callId, 'INVITE');
    const cancelMs = performance.now() - cancelledMs;
    const tagged = (message: string) =>
      message.replace('To: <sip:1234@127.0.0.1>', `To: <sip:1234@127.0.0.1>;tag=${to.params.get('tag')}`);
    peer.send(tagged(request(peer, 'ACK', callId)));
    // The answer was faster: the caller hangs up.
    if (status === 200) peer.send(tagged(request(peer, 'BYE', callId)).replace('CSeq: 1 BYE', 'CSeq: 2 BYE'));
    return { status, cancelMs };
  }

  test('get their 487, and leave no call, dialog, port, participant, timer or job behind', async () => {
    // What the first call opens stays open: the codecs' pool, the shared ticker.
    await giveUp('first', 100);
    await until(() => worker.jobs.size === 0, 'the first job is over');
    await until(() => house.gateway.counts().calls === 0, 'the first call is over');
    const rooms = new RoomServiceClient(
      house.server.url.replace('ws', 'http'),
      devKeys.apiKey,
      devKeys.apiSecret,
    );
    const before = heldResources(house);
    const results: { status: number; cancelMs: number }[] = [];
    const callers = Array.from({ length: count }, async (_, i) => {
      await new Promise((resolve) => setTimeout(resolve, i * betweenMs));
      // From at once to when the agent may be there already.
      results.push(await giveUp(`cancel${i}`, (i * 7) % 90));
    });
    await Promise.all(callers);
    expect(results.filter(({ status }) => status !== 487 && status !== 200)).toEqual([]);
    expect(results.filter(({ status }) => status === 487).length).toBeGreaterThan(count / 2);
    await house.quiet();
    await until(() => worker.jobs.size === 0, 'no agent has anything left to do');
    expect(worker.taken).toBeGreaterThan(count / 3);
    await until(
      () => heldResources(house).sockets <= before.sockets && heldResources(house).timers <= before.timers,
      'every port and timer is free',
    );
    expect(await rooms.listRooms()).toEqual([]);
  }, 120_000);
});

describe('whoever means no good', () => {
  let house: GatewayHouse;
  let peer: RawPeer;
  beforeAll(async () => {
    house = await GatewayHouse.open({ users: new Map([['alice', 'secret']]) });
  });
  afterEach(() => peer.close());
  afterAll(() => house.close());

  test('guesses passwords until nobody listens any more', async () => {
    peer = await RawPeer.open(house.gateway.port);
    const guess =
      'Authorization: Digest username="alice", realm="offhook", nonce="x", uri="sip:x", response="0"';
    peer.send(request(peer, 'REGISTER', 'guess0', [guess]));
    const asked = await peer.final('guess0');
    const nonce = /nonce="([^"]+)"/.exec(asked.headers.get('WWW-Authenticate')!)![1];
    for (let i = 1; i <= 8; i++) {
      peer.send(request(peer, 'REGISTER', `guess${i}`, [guess.replace('nonce="x"', `nonce="${nonce}"`)]));
      expect((await peer.final(`guess${i}`)).status).toBe(401);
    }
    const before = peer.received.length;
    peer.send(request(peer, 'OPTIONS', 'anybody'));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(peer.received.length).toBe(before);
  });
});

test('a scanner gets no answer, and what is malformed costs nothing', async () => {
  const house = await GatewayHouse.open();
  const peer = await RawPeer.open(house.gateway.port);
  try {
    for (let i = 0; i < 200; i++) peer.send(Buffer.from(`INVITE sip:${i} SIP/2.0\r\nVia: nonsense\r\n\r\n`));
    peer.send(request(peer, 'OPTIONS', 'after'));
    await peer.final('after');
    expect(peer.received).toHaveLength(1);
    expect(house.gateway.counts().transactions).toBe(1);
    peer.send(request(peer, 'OPTIONS', 'scan', ['User-Agent: friendly-scanner']));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(peer.received).toHaveLength(1);
  } finally {
    peer.close();
    await house.close();
  }
});

test('a call from which nothing is heard is hung up on', async () => {
  const house = await GatewayHouse.open({ times: { mediaMs: 500 } });
  const worker = await ToneWorker.start(house.server);
  const peer = await RawPeer.open(house.gateway.port);
  try {
    peer.send(request(peer, 'INVITE', 'silent', [], sdp));
    const { to } = await peer.final('silent');
    const tagged = `To: <sip:1234@127.0.0.1>;tag=${to.params.get('tag')}`;
    peer.send(request(peer, 'ACK', 'silent').replace('To: <sip:1234@127.0.0.1>', tagged));
    await until(() => peer.methods.includes('BYE'), 'the telephone is hung up on');
    await until(() => house.records.length === 1, 'the call is recorded');
    expect(house.records[0]!.outcome).toBe('nothing was heard from the phone');
  } finally {
    peer.close();
    await worker.stop();
    await house.close();
  }
});

test('log lines of a call name its room and the participant that the phone is', async () => {
  const records: LogRecord[] = [];
  setLogSink((record) => records.push(record));
  const house = await GatewayHouse.open();
  const worker = await ToneWorker.start(house.server);
  const peer = await RawPeer.open(house.gateway.port);
  try {
    for (const callId of ['first', 'second']) {
      peer.send(request(peer, 'INVITE', callId, [], sdp));
      const { to } = await peer.final(callId);
      const tagged = `To: <sip:1234@127.0.0.1>;tag=${to.params.get('tag')}`;
      peer.send(request(peer, 'ACK', callId).replace('To: <sip:1234@127.0.0.1>', tagged));
    }
    await until(
      () => records.filter(({ message }) => message.includes(': answered: ')).length === 2,
      'both are answered',
    );
    const rooms = new RoomServiceClient(
      house.server.url.replace('ws', 'http'),
      devKeys.apiKey,
      devKeys.apiSecret,
    );
    const opened = (await rooms.listRooms()).map(({ name }) => name);
    expect(opened).toHaveLength(2);
    for (const { name } of await rooms.listRooms()) await rooms.deleteRoom(name);
    await house.quiet();
    const ended = records.filter(({ module, message }) => module === 'sip/call' && /: ended: /.test(message));
    expect(ended.map(({ room }) => room).sort()).toEqual(opened.sort());
    expect(ended.every(({ identity }) => identity?.startsWith('sip_'))).toBe(true);
    const first = records.find(({ message }) => message.includes('Call-ID first'))!.message.split(/[ :]/)[1];
    expect(records.some(({ message, room }) => message.includes(`${first}: answered`) && room)).toBe(true);
  } finally {
    setLogSink(() => {});
    peer.close();
    await worker.stop();
    await house.close();
  }
});

test('the gateway logs in at a provider, and out when it closes', async () => {
  const provider = await GatewayHouse.open({ users: new Map([['office', 'secret']]) });
  const house = await GatewayHouse.open({
    registrations: [
      { registrar: `sip:127.0.0.1:${provider.gateway.port}`, username: 'office', password: 'secret' },
    ],
  });
  try {
    await until(() => provider.gateway.registeredContacts('office') === 1, 'the provider knows where we are');
  } finally {
    await house.close();
  }
  await until(() => provider.gateway.registeredContacts('office') === 0, 'the provider has forgotten us');
  await provider.close();
});

describeWith(['kamailio', 'sipp'], 'through a proxy', () => {
  test.each(['call', 'cancel', 'hold', 'prack'])('%s', async (scenario) => {
    const house = await GatewayHouse.open();
    const worker = await ToneWorker.start(house.server);
    const proxy = await Kamailio.start(house.gateway.port);
    worker.speaks = scenario !== 'cancel';
    const peer = await RawPeer.open(proxy.port);
    try {
      await until(() => {
        peer.send(request(peer, 'OPTIONS', `up${peer.received.length}`));
        return peer.received.length > 0;
      }, 'the proxy passes requests on');
      const { status, errors } = await playSipp(scenario, proxy);
      expect(status, errors).toBe(0);
      await house.quiet();
    } finally {
      peer.close();
      await proxy.stop();
      await worker.stop();
      await house.close();
    }
  });
});
