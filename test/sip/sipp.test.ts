import {
  SIPDispatchRule,
  SIPDispatchRuleIndividual,
  SIPDispatchRuleInfo,
  SIPInboundTrunkInfo,
} from '@livekit/protocol';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { SipDirectory, type SipGatewayOptions } from '../../src/sip/index.js';
import { describeWith } from '../support/parts.js';
import { GatewayHouse } from './gateway-house.js';
import { playSipp } from './sipp.js';
import { until } from './until.js';
import { ToneWorker } from './worker.js';

/** A house whose calls are answered by agents that are sent into their rooms. */
async function openHouse(options: Partial<SipGatewayOptions> = {}) {
  const house = await GatewayHouse.open(options);
  const worker = await ToneWorker.start(house.server);
  return { house, worker };
}

function directoryWithTrunk(trunk: Partial<SIPInboundTrunkInfo>): SipDirectory {
  const directory = new SipDirectory();
  directory.addInbound(new SIPInboundTrunkInfo(trunk));
  const value = new SIPDispatchRuleIndividual({ roomPrefix: 'call' });
  directory.addRule(
    new SIPDispatchRuleInfo({
      rule: new SIPDispatchRule({ rule: { case: 'dispatchRuleIndividual', value } }),
    }),
  );
  return directory;
}

describeWith(['sipp'], 'calls that SIPp plays', () => {
  let house: GatewayHouse;
  let worker: ToneWorker;

  beforeAll(async () => {
    ({ house, worker } = await openHouse());
  });
  afterEach(async () => {
    await house.quiet();
    await until(() => worker.jobs.size === 0, 'no agent has anything left to do');
  });
  afterAll(async () => {
    await worker.stop();
    await house.close();
  });

  test.each([
    ['call', 'is answered and hung up on'],
    ['cancel', 'is cancelled while it rings'],
    ['cancel-at-once', 'is cancelled at once'],
    ['bye-while-ringing', 'is hung up on while it rings'],
    ['hold', 'is put on hold and taken off again'],
    ['no-offer', 'leaves the offer to us'],
    ['prack', 'has its ringing acknowledged'],
    ['session-timer', 'is refreshed'],
    ['interval-too-small', 'wants to be refreshed too often'],
  ])('%s: a call that %s', async (scenario) => {
    // A caller that gives up must find it ringing, however fast the agent is.
    worker.speaks = !scenario.includes('cancel') && !scenario.includes('ringing');
    const { status, errors } = await playSipp(scenario, house.gateway);
    expect(status, errors).toBe(0);
  });

  test.each([
    ['call', ['-t', 't1']],
    ['hold', ['-t', 't1']],
  ])('%s over TCP', async (scenario, extra) => {
    worker.speaks = true;
    const { status, errors } = await playSipp(scenario, house.gateway, { extra });
    expect(status, errors).toBe(0);
  });

  test('a tenth of all messages is lost, and every call goes through', async () => {
    worker.speaks = true;
    const { status, errors } = await playSipp('lossy', house.gateway, {
      calls: 8,
      rate: 4,
      extra: ['-lost', '10'],
    });
    // What is said twice because something was lost comes when SIPp has forgotten the call.
    expect(status, errors).toBe(0);
  });
});

describeWith(['sipp'], 'many calls', () => {
  test('50 at once are all answered', async () => {
    // However slow this machine is, they wait for their rooms: that too many are refused is another test.
    const { house, worker } = await openHouse({ joins: { atOnce: 8, waiting: 50, waitMs: 60_000 } });
    let most = 0;
    const count = setInterval(() => {
      most = Math.max(most, house.gateway.counts().calls);
    }, 20);
    try {
      const { status, errors } = await playSipp('call', house.gateway, {
        calls: 50,
        rate: 10,
        holdMs: 10_000,
      });
      expect(status, errors).toBe(0);
      expect(most).toBe(50);
      await house.quiet();
      await until(() => worker.jobs.size === 0, 'no agent has anything left to do');
    } finally {
      clearInterval(count);
      await worker.stop();
      await house.close();
    }
  }, 120_000);
});

describeWith(['sipp'], 'a call that nobody answers', () => {
  test('rings until its deadline and is refused with 480 and the reason', async () => {
    const house = await GatewayHouse.open({ times: { agentMs: 700 } });
    try {
      expect(await playSipp('refused', house.gateway)).toEqual({ status: 0, errors: '' });
      await house.quiet();
      await until(() => house.records.length === 1, 'the call is recorded');
      expect(house.records[0]!.outcome).toBe('480 No agent answered');
      const steps = house.records[0]!.timeline.spans.map(({ stage, outcome }) => [stage, outcome]);
      expect(steps).toEqual([
        ['sip-invite', 'ok'],
        ['sip-room', 'ok'],
        ['sip-agent', 'deadline'],
      ]);
    } finally {
      await house.close();
    }
  });
});

describeWith(['sipp'], 'credentials', () => {
  const secret = ['-au', 'ada', '-ap', 'lovelace'];

  test('a trunk’s caller is asked for them, and taken with them', async () => {
    const directory = directoryWithTrunk({
      numbers: ['1234'],
      authUsername: 'ada',
      authPassword: 'lovelace',
    });
    const { house, worker } = await openHouse({ directory });
    try {
      expect(await playSipp('authenticated', house.gateway, { extra: secret })).toMatchObject({ status: 0 });
      const wrong = ['-au', 'ada', '-ap', 'babbage'];
      expect(await playSipp('wrong-password', house.gateway, { extra: wrong })).toMatchObject({ status: 0 });
      expect(house.gateway.counts().calls).toBe(0);
    } finally {
      await worker.stop();
      await house.close();
    }
  });

  test('a softphone logs in and out', async () => {
    const house = await GatewayHouse.open({ users: new Map([['alice', 'lovelace']]) });
    try {
      const extra = ['-au', 'alice', '-ap', 'lovelace'];
      expect(await playSipp('register', house.gateway, { extra })).toEqual({ status: 0, errors: '' });
    } finally {
      await house.close();
    }
  });
});
