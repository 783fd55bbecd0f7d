import {
  CreateSIPParticipantRequest,
  ListUpdate,
  Pagination,
  ParticipantInfo_Kind,
  RoomAgentDispatch,
  RoomConfiguration,
  SIPDispatchRule,
  SIPDispatchRuleCallee,
  SIPDispatchRuleInfo,
  SIPHeaderOptions,
  SIPInboundTrunkInfo,
  SIPMediaConfig,
  SIPOutboundConfig,
  SIPOutboundTrunkInfo,
  SIPTransport,
  SIPTrunkInfo_TrunkKind,
} from '@livekit/protocol';
import { AccessToken, RoomServiceClient, SipClient, type VideoGrant } from 'livekit-server-sdk';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { RoomLeg } from '../../src/sip/gateway/room-leg.js';
import { sipService } from '../../src/sip/index.js';
import { Headers, userOf } from '../../src/sip/message/index.js';
import { CalledPhone, endsWith } from './called-phone.js';
import { type Agent, devKeys, GatewayHouse } from './gateway-house.js';
import { until } from './until.js';

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
    vi.restoreAllMocks();
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

  test('rings once in its timeline, however often the telephone says so', async () => {
    await dial();
    await until(() => agent.attributes()['sip.callStatus'] === 'ringing', 'it rings');
    phone.call!.ring();
    await phone.answer(['PCMU']);
    await until(() => agent.attributes()['sip.callStatus'] === 'active', 'it is active');
    const before = house.records.length;
    phone.session.bye();
    await until(() => house.records.length > before, 'the call is recorded');
    const steps = house.records.at(-1)!.timeline.spans.map(({ stage, outcome }) => [stage, outcome]);
    expect(steps).toEqual(['sip-room', 'sip-invite', 'sip-answer', 'sip-call'].map((stage) => [stage, 'ok']));
  });

  test('names the participant and the caller as the request says, and takes what the answer says', async () => {
    phone.onCall = () => {
      phone.answerHeaders = Headers.of({ 'X-Queue': 'seven', 'P-Other': 'no' });
      void phone.answer(['PCMA']);
    };
    await dial({
      participantName: 'Ada',
      displayName: 'The Office',
      participantMetadata: 'meta',
      participantAttributes: { team: 'blue' },
      includeHeaders: SIPHeaderOptions.SIP_X_HEADERS,
      media: new SIPMediaConfig({ codecs: [{ name: 'PCMA', rate: 8_000 }], onlyListedCodecs: true }),
      // Nothing is suppressed, as on a LiveKit server without its cloud, and nothing fails.
      krispEnabled: true,
      waitUntilAnswered: true,
    });
    expect(phone.call!.request.from.displayName).toBe('The Office');
    expect(phone.offered).toEqual(['PCMA', 'telephone-event']);
    await until(() => agent.attributes()['sip.h.x-queue'] === 'seven', 'the answer’s header is an attribute');
    expect(agent.attributes()).toMatchObject({ team: 'blue', 'sip.callStatus': 'active' });
    expect(agent.attributes()).not.toHaveProperty('sip.h.p-other');
    const [participant] = [...agent.room.remoteParticipants.values()];
    expect(participant).toMatchObject({
      name: 'Ada',
      info: { metadata: 'meta', kind: ParticipantInfo_Kind.SIP },
    });
  });

  test('hides the number where that is asked for', async () => {
    phone.onCall = () => void phone.answer(['PCMU']);
    const call = await house.gateway.dial(
      new CreateSIPParticipantRequest({
        sipTrunkId: trunkId,
        sipCallTo: '+49301234',
        roomName: 'out',
        hidePhoneNumber: true,
      }),
    );
    await call.dialed;
    expect(call.identity).toMatch(/^sip_[0-9a-f]{16}$/);
    await until(() => agent.room.remoteParticipants.size === 1, 'the phone is in the room');
    const [participant] = [...agent.room.remoteParticipants.values()];
    expect(participant!.name).toBe('Phone 1234');
    expect(JSON.stringify(participant!.attributes)).not.toContain('49301234');
  });

  test('plays a dial tone to the room until the call is answered', async () => {
    await dial({ playDialtone: true });
    await until(() => endsWith(agent.heard, 16_000, 425), 'the agent hears it ring');
    await phone.answer(['PCMU']);
    await until(() => endsWith(agent.heard, 16_000, 600), 'the agent hears the phone');
    const [participant] = [...agent.room.remoteParticipants.values()];
    expect(participant!.publications.size).toBe(1);
  });

  test('calls through a trunk that the request brings along', async () => {
    phone.onCall = () => void phone.answer(['PCMU']);
    const trunk = new SIPOutboundConfig({
      hostname: `127.0.0.1:${phone.endpoint.port}`,
      transport: SIPTransport.SIP_TRANSPORT_UDP,
      headersToAttributes: { 'X-Queue': 'queue' },
    });
    phone.answerHeaders = Headers.of({ 'X-Queue': 'eight' });
    const options = { participantIdentity: 'sip-phone', fromNumber: '+4930999', waitUntilAnswered: true };
    await client.createSipParticipant('', '+49301234', 'out', options, trunk);
    expect(userOf(phone.call!.request.from.uri)).toBe('+4930999');
    await until(() => agent.attributes().queue === 'eight', 'its mapping of headers holds');
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

  test('answers a program that waits once the phone’s track is in the room', async () => {
    const rooms = new RoomServiceClient(
      house.server.url.replace('ws:', 'http:'),
      devKeys.apiKey,
      devKeys.apiSecret,
    );
    const tracks = async () => (await rooms.getParticipant('out', 'sip-phone')).tracks.length;
    // A server that is slow to take the track.
    let publish = () => {};
    const mayPublish = new Promise<void>((resolve) => {
      publish = resolve;
    });
    let isPublishing = false;
    const { publish: publishAtOnce } = RoomLeg.prototype;
    vi.spyOn(RoomLeg.prototype, 'publish').mockImplementation(async function (this: RoomLeg, sampleRate) {
      isPublishing = true;
      await mayPublish;
      return publishAtOnce.call(this, sampleRate);
    });
    phone.onCall = () => void phone.answer(['PCMU']);
    let isAnswered = false;
    const answered = dial({ waitUntilAnswered: true }).then(() => {
      isAnswered = true;
    });
    await until(() => isPublishing, 'the phone is answered');
    // As many round trips to the server as an answer to the program would take, several times over.
    for (let i = 0; i < 5; i++) expect([await tracks(), isAnswered]).toEqual([0, false]);
    publish();
    await answered;
    expect(await tracks()).toBe(1);
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
    await client.transferSipParticipant('out', 'sip-phone', 'tel:+4940555', {
      headers: { 'X-Why': 'sales' },
    });
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

  test('lets the phone hear it ring while it is put through, and gives up on a transfer that is not answered', async () => {
    phone.onCall = () => void phone.answer(['PCMU']);
    await dial({ waitUntilAnswered: true });
    phone.session.onRefer = (_target, report) => {
      report(180, 'Ringing', false);
      return 202;
    };
    const transfer = client.transferSipParticipant('out', 'sip-phone', 'tel:+4940555', {
      playDialtone: true,
      ringingTimeout: 2,
    });
    const refused = expect(transfer).rejects.toMatchObject({ sipStatusCode: 408 });
    await until(() => endsWith(phone.heard, 8_000, 425), 'the phone hears it ring');
    await refused;
    await until(() => endsWith(phone.heard, 8_000, 1_000), 'the phone hears the agent again');
    phone.session.onRefer = (_target, report) => {
      setTimeout(() => report(200, 'OK', true), 20);
      return 202;
    };
    await client.transferSipParticipant('out', 'sip-phone', 'tel:+4940556');
    await until(() => phone.ended !== undefined, 'the call is over');
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

  test('inbound trunks are replaced, changed field by field, and found by number and page by page', async () => {
    const made = [
      await client.createSipInboundTrunk('one', ['+491'], {
        metadata: 'm',
        allowedAddresses: ['192.0.2.0/24'],
        authUsername: 'ada',
        authPassword: 'lovelace',
        headers: { 'X-A': 'b' },
        headersToAttributes: { 'X-C': 'c' },
        includeHeaders: SIPHeaderOptions.SIP_ALL_HEADERS,
        krispEnabled: true,
        ringingTimeout: 7,
      }),
      await client.createSipInboundTrunk('two', ['+492']),
    ];
    const [one, two] = made.map(({ sipTrunkId }) => sipTrunkId) as [string, string];
    expect(made[0]).toMatchObject({
      metadata: 'm',
      authUsername: 'ada',
      headers: { 'X-A': 'b' },
      krispEnabled: true,
    });
    const ids = async (options: Parameters<SipClient['listSipInboundTrunk']>[0]) =>
      (await client.listSipInboundTrunk(options)).map(({ sipTrunkId }) => sipTrunkId);
    expect(await ids({ trunkIds: [two, one] })).toEqual([two, one]);
    expect(await ids({ numbers: ['+492'] })).toEqual([two]);
    expect(await ids({ page: new Pagination({ limit: 1 }) })).toEqual([one]);
    expect(await ids({ page: new Pagination({ afterId: one, limit: 1 }) })).toEqual([two]);
    const numbers = new ListUpdate({ add: ['+493'], remove: ['+491'] });
    expect(await client.updateSipInboundTrunkFields(one, { numbers, metadata: 'n' })).toMatchObject({
      numbers: ['+493'],
      metadata: 'n',
      authUsername: 'ada',
    });
    expect(
      await client.updateSipInboundTrunk(one, new SIPInboundTrunkInfo({ numbers: ['+494'] })),
    ).toMatchObject({
      sipTrunkId: one,
      numbers: ['+494'],
      metadata: '',
    });
    for (const id of [one, two]) await client.deleteSipTrunk(id);
    await expect(client.updateSipInboundTrunkFields(one, { name: 'x' })).rejects.toMatchObject({
      code: 'not_found',
    });
    await expect(client.deleteSipTrunk(one)).rejects.toMatchObject({ code: 'not_found' });
  });

  test('outbound trunks are replaced, changed field by field, and listed', async () => {
    const { sipTrunkId: id } = await client.createSipOutboundTrunk('second', 'provider.example', ['+491'], {
      transport: SIPTransport.SIP_TRANSPORT_TLS,
      authUsername: 'ada',
      authPassword: 'lovelace',
      destinationCountry: 'de',
    });
    expect((await client.listSipOutboundTrunk({ trunkIds: [id] }))[0]).toMatchObject({
      address: 'provider.example',
      transport: SIPTransport.SIP_TRANSPORT_TLS,
      destinationCountry: 'de',
    });
    const numbers = new ListUpdate({ set: ['+495'] });
    expect(await client.updateSipOutboundTrunkFields(id, { numbers, name: 'third' })).toMatchObject({
      name: 'third',
      numbers: ['+495'],
      authUsername: 'ada',
    });
    const other = new SIPOutboundTrunkInfo({ address: 'other.example', numbers: ['*'] });
    expect(await client.updateSipOutboundTrunk(id, other)).toMatchObject({
      address: 'other.example',
      name: '',
    });
    await client.deleteSipTrunk(id);
    expect(await client.listSipOutboundTrunk({ numbers: ['+495'] })).toEqual([]);
  });

  test('dispatch rules of each kind are made, replaced and changed field by field', async () => {
    const roomConfig = new RoomConfiguration({ agents: [new RoomAgentDispatch({ agentName: 'desk' })] });
    const direct = await client.createSipDispatchRule(
      { type: 'direct', roomName: 'lobby', pin: '12' },
      {
        name: 'lobby',
        trunkIds: ['ST_a'],
        hidePhoneNumber: true,
        metadata: 'm',
        roomPreset: 'p',
        roomConfig,
      },
    );
    expect(direct).toMatchObject({ name: 'lobby', hidePhoneNumber: true, metadata: 'm', roomPreset: 'p' });
    expect(direct.roomConfig!.agents[0]!.agentName).toBe('desk');
    const callee = await client.createSipDispatchRule(
      { type: 'callee', roomPrefix: 'to', randomize: true },
      { trunkIds: ['ST_b'] },
    );
    expect(callee.rule!.rule).toMatchObject({ case: 'dispatchRuleCallee', value: { randomize: true } });
    const [id] = [direct.sipDispatchRuleId];
    const changed = await client.updateSipDispatchRuleFields(id, {
      trunkIds: new ListUpdate({ add: ['ST_c'] }),
      attributes: { a: 'b' },
      name: 'hall',
    });
    expect(changed).toMatchObject({
      name: 'hall',
      trunkIds: ['ST_a', 'ST_c'],
      attributes: { a: 'b' },
      metadata: 'm',
    });
    const value = new SIPDispatchRuleCallee({ roomPrefix: 'x' });
    const rule = new SIPDispatchRule({ rule: { case: 'dispatchRuleCallee', value } });
    const replaced = await client.updateSipDispatchRule(
      id,
      new SIPDispatchRuleInfo({ rule, trunkIds: ['ST_d'] }),
    );
    expect(replaced).toMatchObject({ sipDispatchRuleId: id, name: '', trunkIds: ['ST_d'] });
    expect(await client.listSipDispatchRule({ dispatchRuleIds: [id] })).toHaveLength(1);
    for (const { sipDispatchRuleId } of [direct, callee])
      await client.deleteSipDispatchRule(sipDispatchRuleId);
    await expect(client.deleteSipDispatchRule(id)).rejects.toMatchObject({ code: 'not_found' });
  });

  test('a trunk for both directions, as older programs make it, is both', async () => {
    const made = await client.createSipTrunk('+496', {
      name: 'both',
      inbound_numbers: ['+496'],
      outbound_address: 'provider.example',
      outbound_username: 'ada',
      outbound_password: 'lovelace',
    });
    const id = made.sipTrunkId;
    expect(made).toMatchObject({ kind: SIPTrunkInfo_TrunkKind.TRUNK_LEGACY, inboundNumbers: ['+496'] });
    expect((await client.listSipTrunk()).map(({ sipTrunkId }) => sipTrunkId)).toEqual([id, trunkId]);
    expect(await client.listSipInboundTrunk({ trunkIds: [id] })).toHaveLength(1);
    expect((await client.listSipOutboundTrunk({ trunkIds: [id] }))[0]).toMatchObject({ numbers: ['+496'] });
    await client.deleteSipTrunk(id);
    expect((await client.listSipTrunk()).map(({ sipTrunkId }) => sipTrunkId)).toEqual([trunkId]);
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

describe('who may call the SIP API', () => {
  let house: GatewayHouse;
  beforeAll(async () => {
    house = await GatewayHouse.open();
  });
  afterAll(() => house.close());

  const methods = Object.keys(sipService(() => house.gateway));
  const calling = ['CreateSIPParticipant', 'TransferSIPParticipant'];

  /** The code of the answer to an empty request; `ok` when there is none. */
  async function codeOf(method: string, sip?: { admin?: boolean; call?: boolean }, grant: VideoGrant = {}) {
    const token = new AccessToken(devKeys.apiKey, devKeys.apiSecret, { identity: 'program' });
    token.addGrant(grant);
    if (sip) token.addSIPGrant(sip);
    const headers = {
      'Content-Type': 'application/json',
      ...(sip ? { Authorization: `Bearer ${await token.toJwt()}` } : {}),
    };
    const url = `${house.server.url.replace('ws:', 'http:')}/twirp/livekit.SIP/${method}`;
    const answer = await fetch(url, { method: 'POST', headers, body: '{"roomName":"mine"}' });
    const { code = 'ok' } = (await answer.json()) as { code?: string };
    expect(answer.status === 401).toBe(code === 'unauthenticated');
    return code;
  }

  test.each(methods)('%s: nobody without a token, and nobody with the other grant', async (method) => {
    expect(await codeOf(method)).toBe('unauthenticated');
    const everythingElse: VideoGrant = { roomAdmin: true, room: 'mine', roomCreate: true, roomList: true };
    expect(await codeOf(method, {}, everythingElse)).toBe('unauthenticated');
    const [right, wrong] = calling.includes(method)
      ? [{ call: true }, { admin: true }]
      : [{ admin: true }, { call: true }];
    expect(await codeOf(method, wrong, everythingElse)).toBe('unauthenticated');
    expect(await codeOf(method, right, everythingElse)).not.toBe('unauthenticated');
  });

  test('a transfer needs the administration of that room as well', async () => {
    const roomAdmin = true;
    expect(await codeOf('TransferSIPParticipant', { call: true })).toBe('unauthenticated');
    const ofAnother = { roomAdmin, room: 'other' };
    expect(await codeOf('TransferSIPParticipant', { call: true }, ofAnother)).toBe('unauthenticated');
    const ofThis = { roomAdmin, room: 'mine' };
    expect(await codeOf('TransferSIPParticipant', { call: true }, ofThis)).toBe('not_found');
  });
});
