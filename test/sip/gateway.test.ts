import { RoomServiceClient } from 'livekit-server-sdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type LogRecord, setLogSink } from '../../src/logging/index.js';
import { describeWith } from '../support/parts.js';
import { devKeys, GatewayHouse } from './gateway-house.js';
import { Kamailio } from './kamailio.js';
import { plainSdp, RawPeer, requestOf } from './raw-peer.js';
import { playSipp } from './sipp.js';
import { until } from './until.js';
import { ToneWorker } from './worker.js';

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
    house = await GatewayHouse.open({
      limits: { calls: plenty, messages: plenty },
      joins: { atOnce: count, waiting: 0, waitMs: 0 },
    });
    worker = await ToneWorker.start(house.server);
    worker.staysToTheEnd = true;
    peer = await RawPeer.open(house.gateway.port);
  });
  afterAll(async () => {
    peer.close();
    await worker.stop();
    await house.close();
  });

  const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

  /** How long the last call that was answered took, from INVITE to 200: how fast agents are at this moment. */
  let answeredAfterMs = 0;

  /** One call that is given up after `rings`; resolves with its final status. */
  async function giveUp(callId: string, rings: () => Promise<unknown>): Promise<number> {
    const invitedMs = performance.now();
    peer.send(requestOf(peer, 'INVITE', callId, [], plainSdp));
    const final = peer.final(callId, 'INVITE');
    const finalMs = final.then(() => performance.now() - invitedMs);
    await rings();
    peer.send(requestOf(peer, 'CANCEL', callId));
    const { status, to } = await final;
    const tagged = (message: string) =>
      message.replace('To: <sip:1234@127.0.0.1>', `To: <sip:1234@127.0.0.1>;tag=${to.params.get('tag')}`);
    peer.send(tagged(requestOf(peer, 'ACK', callId)));
    // The answer was faster: the caller hangs up.
    if (status === 200) {
      answeredAfterMs = await finalMs;
      peer.send(tagged(requestOf(peer, 'BYE', callId)).replace('CSeq: 1 BYE', 'CSeq: 2 BYE'));
    }
    return status;
  }

  test('get their 487, and leave no call, dialog, port, participant, timer or job behind', async () => {
    // What the first call opens stays open: the codecs' pool, the shared ticker.
    const isAnswered = () => peer.responses('first').some(({ status }) => status === 200);
    await giveUp('first', () => until(isAnswered, 'the first call is answered'));
    await until(() => worker.jobs.size === 0, 'the first job is over');
    await until(() => house.gateway.counts().calls === 0, 'the first call is over');
    const rooms = new RoomServiceClient(
      house.server.url.replace('ws', 'http'),
      devKeys.apiKey,
      devKeys.apiSecret,
    );
    const before = heldResources(house);
    const takenBefore = worker.taken;
    const statuses: number[] = [];
    const callers = Array.from({ length: count }, async (_, i) => {
      await sleep(i * betweenMs);
      const callId = `cancel${i}`;
      const isRinging = () => peer.responses(callId).some(({ status }) => status >= 180);
      // Every second one when it rings, before or while an agent is asked; the others at any moment until the agent has
      // spoken, as fast as agents are on this machine now.
      const rings =
        i % 2 ? () => until(isRinging, 'it rings') : () => sleep((((i * 7) % 90) / 90) * answeredAfterMs);
      statuses.push(await giveUp(callId, rings));
    });
    await Promise.all(callers);
    expect(statuses.filter((status) => status !== 487 && status !== 200)).toEqual([]);
    expect(statuses.filter((status) => status === 487).length).toBeGreaterThan(count / 2);
    await house.quiet();
    await until(() => worker.jobs.size === 0, 'no agent has anything left to do');
    expect(worker.taken - takenBefore).toBeGreaterThan(count / 3);
    await until(
      () => heldResources(house).sockets <= before.sockets && heldResources(house).timers <= before.timers,
      'every port and timer is free',
    );
    expect(await rooms.listRooms()).toEqual([]);
  }, 120_000);
});

test('a call from which nothing is heard is hung up on', async () => {
  const house = await GatewayHouse.open({ times: { mediaMs: 500 } });
  const worker = await ToneWorker.start(house.server);
  const peer = await RawPeer.open(house.gateway.port);
  try {
    peer.send(requestOf(peer, 'INVITE', 'silent', [], plainSdp));
    const { to } = await peer.final('silent');
    const tagged = `To: <sip:1234@127.0.0.1>;tag=${to.params.get('tag')}`;
    peer.send(requestOf(peer, 'ACK', 'silent').replace('To: <sip:1234@127.0.0.1>', tagged));
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
      peer.send(requestOf(peer, 'INVITE', callId, [], plainSdp));
      const { to } = await peer.final(callId);
      const tagged = `To: <sip:1234@127.0.0.1>;tag=${to.params.get('tag')}`;
      peer.send(requestOf(peer, 'ACK', callId).replace('To: <sip:1234@127.0.0.1>', tagged));
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
        peer.send(requestOf(peer, 'OPTIONS', `up${peer.received.length}`));
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
