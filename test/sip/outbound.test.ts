import { SIPTransport } from '@livekit/protocol';
import { SipClient } from 'livekit-server-sdk';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type CallSession, IncomingCall, SipEndpoint } from '../../src/sip/call/index.js';
import { PhoneMedia } from '../../src/sip/media/index.js';
import type { Headers } from '../../src/sip/message/index.js';
import { dominantFrequencyHz, makeTone } from '../support/tone.js';
import { type Agent, devKeys, GatewayHouse } from './gateway-house.js';
import { until } from './until.js';

/** A telephone that is called: does what a test says, and keeps what it hears. */
class CalledPhone {
  readonly endpoint: SipEndpoint;
  readonly heard: number[] = [];
  digits = '';
  call: IncomingCall | undefined;
  /** Headers of the INVITE. */
  headers: Headers | undefined;
  referredTo: string | undefined;
  cancelled: string | undefined;
  ended: string | undefined;
  media: PhoneMedia | undefined;
  /** What it does when it is called. */
  onCall: (call: IncomingCall) => void = (call) => call.ring();
  #speaks: NodeJS.Timeout | undefined;

  private constructor(endpoint: SipEndpoint) {
    this.endpoint = endpoint;
    endpoint.onInvite = (served) => {
      const call = new IncomingCall(endpoint, served);
      this.call = call;
      this.headers = served.request.headers;
      call.onCancelled = (why) => {
        this.cancelled = why;
      };
      this.onCall(call);
    };
  }

  static async open(): Promise<CalledPhone> {
    return new CalledPhone(await SipEndpoint.open({ host: '127.0.0.1', port: 0 }));
  }

  get session(): CallSession {
    return this.call!.session;
  }

  /** Speaks from now on; `accept` says by which response. */
  async answer(
    codecs?: string[],
    accept: (sdp: Buffer) => void = (sdp) => this.call!.accept(sdp),
  ): Promise<void> {
    const call = this.call!;
    const media = await PhoneMedia.open({
      bindAddress: '127.0.0.1',
      address: '127.0.0.1',
      ...(codecs ? { codecs } : {}),
      onAudio: (samples) => {
        for (const sample of samples) this.heard.push(sample);
      },
      onDtmf: ({ digit }) => {
        this.digits += digit;
      },
    });
    this.media = media;
    const negotiated = media.answer(call.request.body);
    if (!negotiated.ok) throw new Error(negotiated.reason);
    accept(negotiated.sdp);
    call.session.onEnded = (why) => {
      this.ended = why;
    };
    media.start();
    const input = media.mixer!.addInput();
    const tone = makeTone(600, 1_000, 8_000, -12).samples;
    let at = 0;
    this.#speaks = setInterval(() => {
      input.push(tone.subarray(at, at + 80));
      at = (at + 80) % tone.length;
    }, 10);
  }

  reset(): void {
    clearInterval(this.#speaks);
    this.media?.close();
    this.media = undefined;
    this.call?.session.end('test is over');
    this.call = undefined;
    this.heard.length = 0;
    this.digits = '';
    this.cancelled = undefined;
    this.ended = undefined;
    this.onCall = (call) => call.ring();
  }

  async close(): Promise<void> {
    this.reset();
    await this.endpoint.close();
  }
}

/** Whether the last half second is a tone of `hz`. */
function endsWith(heard: readonly number[], sampleRate: number, hz: number): boolean {
  const samples = Int16Array.from(heard.slice(-sampleRate / 2));
  return samples.length > 0 && Math.abs(dominantFrequencyHz({ samples, sampleRate }) - hz) <= 5;
}

describe('livekit-server-sdk’s SipClient, unmodified', () => {
  let house: GatewayHouse;
  let client: SipClient;
  let phone: CalledPhone;
  let trunkId = '';
  let agent: Agent;

  beforeAll(async () => {
    house = await GatewayHouse.open();
    client = new SipClient(house.server.url.replace('ws:', 'http:'), devKeys.apiKey, devKeys.apiSecret);
    phone = await CalledPhone.open();
    const trunk = await client.createSipOutboundTrunk(
      'out',
      `127.0.0.1:${phone.endpoint.port}`,
      ['+4930111'],
      {
        transport: SIPTransport.SIP_TRANSPORT_UDP,
        headers: { 'X-Trunk': 'one' },
      },
    );
    trunkId = trunk.sipTrunkId;
    agent = await house.agent('out');
    await agent.speak(1_000);
  });
  afterEach(async () => {
    for (const call of [...house.gateway.calls.values()]) call.end('test is over');
    await house.quiet();
    phone.reset();
  });
  afterAll(async () => {
    await phone.close();
    await house.close();
  });

  const dial = (options: Parameters<SipClient['createSipParticipant']>[3] = {}) =>
    client.createSipParticipant(trunkId, '+49301234', 'out', {
      participantIdentity: 'sip-phone',
      ...options,
    });

  test('calls a telephone: it rings, is answered, and both hear each other', async () => {
    const info = await dial({ participantName: 'Ada', headers: { 'X-Call': 'two' } });
    expect(info).toMatchObject({ roomName: 'out', participantIdentity: 'sip-phone' });
    expect(info.sipCallId).toMatch(/^SCL_/);
    await until(() => agent.attributes()['sip.callStatus'] === 'ringing', 'it rings');
    expect(agent.attributes()).toMatchObject({
      'sip.phoneNumber': '+49301234',
      'sip.trunkPhoneNumber': '+4930111',
      'sip.trunkID': trunkId,
      'sip.callID': info.sipCallId,
    });
    expect([phone.headers!.get('X-Trunk'), phone.headers!.get('X-Call')]).toEqual(['one', 'two']);
    await phone.answer(['PCMU']);
    await until(() => agent.attributes()['sip.callStatus'] === 'active', 'it is active');
    await until(() => endsWith(phone.heard, 8_000, 1_000), 'the phone hears the agent');
    await until(() => endsWith(agent.heard, 16_000, 600), 'the agent hears the phone');
  });

  test('lets the room hear what the network says before the answer', async () => {
    phone.onCall = (call) => void phone.answer(['PCMU'], (sdp) => call.progress(sdp));
    await dial();
    await until(() => endsWith(agent.heard, 16_000, 600), 'the agent hears the announcement');
    await until(() => agent.attributes()['sip.callStatus'] === 'ringing', 'the call is not answered');
  });

  test('waits until the call is answered, presses the extension, and hears keys', async () => {
    phone.onCall = (call) => {
      call.ring();
      void phone.answer(['PCMU']);
    };
    await dial({ waitUntilAnswered: true, dtmf: '12w#' });
    await until(() => phone.digits === '12#', 'the extension was pressed');
    await until(() => agent.attributes()['sip.callStatus'] === 'active', 'it is active then');
    agent.digits = '';
    phone.media!.press('7*');
    await until(() => agent.digits === '7*', 'the agent is told of keys');
    await agent.room.localParticipant.publishDtmf(5, '5');
    await until(() => phone.digits === '12#5', 'the phone is told of keys');
  });

  test.each([
    [486, 'Busy Here', 'unavailable'],
    [404, 'Not Found', 'not_found'],
    [603, 'Decline', 'permission_denied'],
  ])('tells a program that waits that the phone said %s', async (status, reason, code) => {
    phone.onCall = (call) => call.reject(status);
    await expect(dial({ waitUntilAnswered: true })).rejects.toMatchObject({
      sipStatusCode: status,
      sipStatus: reason,
      code,
    });
    await until(() => agent.room.remoteParticipants.size === 0, 'the participant has gone');
  });

  test('gives up after the ringing time: the phone is told by CANCEL', async () => {
    await expect(dial({ waitUntilAnswered: true, ringingTimeout: 1 })).rejects.toMatchObject({
      sipStatusCode: 408,
    });
    await until(() => phone.cancelled !== undefined, 'the phone stops ringing');
  });

  test('stops ringing when the participant is removed from the room', async () => {
    await dial();
    await until(() => phone.call !== undefined, 'it rings');
    [...house.gateway.calls.values()][0]!.end('removed');
    await until(() => phone.cancelled !== undefined, 'the phone stops ringing');
  });

  test('hangs up when the phone does, and the phone when the longest time is over', async () => {
    phone.onCall = () => void phone.answer(['PCMU']);
    await dial({ waitUntilAnswered: true });
    phone.session.bye();
    await until(() => agent.room.remoteParticipants.size === 0, 'the participant has gone');
    phone.reset();
    phone.onCall = () => void phone.answer(['PCMU']);
    await dial({ waitUntilAnswered: true, maxCallDuration: 1 });
    await until(() => phone.ended !== undefined, 'the phone is hung up on');
  });

  test('transfers a call: the phone is told whom to call, and its success ends the call', async () => {
    phone.onCall = () => void phone.answer(['PCMU']);
    await dial({ waitUntilAnswered: true });
    phone.session.onRefer = (target, report) => {
      phone.referredTo = target;
      report(100, 'Trying', false);
      setTimeout(() => report(200, 'OK', true), 50);
      return 202;
    };
    await client.transferSipParticipant('out', 'sip-phone', 'tel:+4940555');
    expect(phone.referredTo).toBe('tel:+4940555');
    await until(() => phone.ended !== undefined, 'the call is over');
  });

  test('a transfer that fails leaves the call as it was', async () => {
    phone.onCall = () => void phone.answer(['PCMU']);
    await dial({ waitUntilAnswered: true });
    phone.session.onRefer = (_target, report) => {
      setTimeout(() => report(486, 'Busy Here', true), 20);
      return 202;
    };
    await expect(client.transferSipParticipant('out', 'sip-phone', 'tel:+4940555')).rejects.toMatchObject({
      sipStatusCode: 486,
    });
    expect(phone.ended).toBeUndefined();
    expect(agent.attributes()['sip.callStatus']).toBe('active');
  });

  test('trunks and rules are made, listed, changed and deleted', async () => {
    const trunk = await client.createSipInboundTrunk('in', ['+4930222'], { allowedNumbers: ['+4930333'] });
    const rule = await client.createSipDispatchRule(
      { type: 'individual', roomPrefix: 'call' },
      { trunkIds: [trunk.sipTrunkId], attributes: { team: 'blue' } },
    );
    expect((await client.listSipInboundTrunk()).map(({ name }) => name)).toEqual(['in']);
    expect(
      (await client.listSipDispatchRule({ trunkIds: [trunk.sipTrunkId] })).map((one) => one.attributes),
    ).toEqual([{ team: 'blue' }]);
    const changed = await client.updateSipInboundTrunkFields(trunk.sipTrunkId, { name: 'other' });
    expect(changed).toMatchObject({ name: 'other', numbers: ['+4930222'] });
    await client.deleteSipDispatchRule(rule.sipDispatchRuleId);
    await client.deleteSipTrunk(trunk.sipTrunkId);
    expect([await client.listSipInboundTrunk(), await client.listSipDispatchRule()]).toEqual([[], []]);
  });

  test.each([
    [
      'a trunk that is not there',
      () => client.createSipParticipant('ST_none', '1', 'out'),
      'invalid_argument',
    ],
    ['a number that is none', () => client.createSipParticipant(trunkId, 'a b@c', 'out'), 'invalid_argument'],
    ['a number that the trunk does not have', () => dial({ fromNumber: '+1' }), 'invalid_argument'],
    [
      'a trunk with nothing to tell calls by',
      () => client.createSipInboundTrunk('all', []),
      'invalid_argument',
    ],
    ['a transfer of nobody', () => client.transferSipParticipant('out', 'nobody', 'tel:+1'), 'not_found'],
  ])('refuses %s', async (_what, call, code) => {
    await expect(call()).rejects.toMatchObject({ code });
    expect(phone.call).toBeUndefined();
  });
});

test('calls go only to what the gateway allows', async () => {
  const house = await GatewayHouse.open({ allowedDestinations: ['+49'] });
  try {
    const client = new SipClient(house.server.url.replace('ws:', 'http:'), devKeys.apiKey, devKeys.apiSecret);
    const { sipTrunkId } = await client.createSipOutboundTrunk('out', '127.0.0.1:9', ['+49301'], {
      transport: SIPTransport.SIP_TRANSPORT_UDP,
    });
    await expect(client.createSipParticipant(sipTrunkId, '+1900555', 'room')).rejects.toMatchObject({
      code: 'invalid_argument',
      message: expect.stringContaining('not allowed'),
    });
  } finally {
    await house.close();
  }
});
