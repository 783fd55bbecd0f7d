import { Duration } from '@bufbuild/protobuf';
import {
  SIPDispatchRule,
  SIPDispatchRuleCallee,
  SIPDispatchRuleDirect,
  SIPDispatchRuleIndividual,
  SIPDispatchRuleInfo,
  SIPInboundTrunkInfo,
} from '@livekit/protocol';
import { describe, expect, test } from 'vitest';
import { limits } from '../../src/limits.js';
import { SipDirectory } from '../../src/sip/gateway/directory.js';
import { dispatch, matchesAddress, matchTrunk } from '../../src/sip/gateway/dispatch.js';
import { durationMs } from '../../src/sip/gateway/inbound-call.js';

const facts = {
  sourceAddress: '192.0.2.7',
  callingNumber: '+15551234',
  calledNumber: '+15550000',
  callId: 'SCL_1',
};

const direct = (roomName: string, pin = '') =>
  new SIPDispatchRule({
    rule: { case: 'dispatchRuleDirect', value: new SIPDispatchRuleDirect({ roomName, pin }) },
  });
const individual = (roomPrefix: string) =>
  new SIPDispatchRule({
    rule: { case: 'dispatchRuleIndividual', value: new SIPDispatchRuleIndividual({ roomPrefix }) },
  });
const callee = (roomPrefix: string, randomize = false) =>
  new SIPDispatchRule({
    rule: { case: 'dispatchRuleCallee', value: new SIPDispatchRuleCallee({ roomPrefix, randomize }) },
  });

describe('trunks', () => {
  test('the one with the called number comes before the one for all numbers', () => {
    const all = new SIPInboundTrunkInfo({ sipTrunkId: 'all', allowedAddresses: ['192.0.2.0/24'] });
    const own = new SIPInboundTrunkInfo({ sipTrunkId: 'own', numbers: ['15550000'] });
    expect(matchTrunk([all, own], facts)?.sipTrunkId).toBe('own');
    expect(matchTrunk([all], facts)?.sipTrunkId).toBe('all');
  });

  test.each([
    ['another address', { allowedAddresses: ['198.51.100.0/24'] }],
    ['another caller', { allowedNumbers: ['+15559999'] }],
    ['another number', { numbers: ['+15551111'] }],
  ])('a call for %s has none', (_what, fields) => {
    expect(matchTrunk([new SIPInboundTrunkInfo(fields)], facts)).toBeUndefined();
  });

  test('two with equal right are none', () => {
    const trunks = [
      new SIPInboundTrunkInfo({ numbers: ['+15550000'] }),
      new SIPInboundTrunkInfo({ numbers: ['15550000'] }),
    ];
    expect(matchTrunk(trunks, facts)).toBeUndefined();
  });

  test.each([
    ['192.0.2.7', ['192.0.2.7'], true],
    ['192.0.2.7', ['192.0.2.0/30'], false],
    ['192.0.2.7', ['192.0.2.0/29'], true],
    ['2001:db8::7', ['2001:db8::/32'], true],
    ['192.0.2.7', ['nonsense', '300.1.1.1/8', '10.0.0.0/99'], false],
    ['192.0.2.7', [], true],
  ])('%s is among %j: %s', (address, allowed, expected) => {
    expect(matchesAddress(address, allowed)).toBe(expected);
  });
});

describe('dispatch rules', () => {
  test('direct: everybody meets in the room', () => {
    const result = dispatch(
      [new SIPDispatchRuleInfo({ sipDispatchRuleId: 'SDR_1', rule: direct('lobby') })],
      undefined,
      facts,
    );
    expect(result).toMatchObject({
      kind: 'room',
      dispatched: {
        room: 'lobby',
        identity: 'sip_+15551234',
        name: 'Phone +15551234',
        attributes: {
          'sip.callID': 'SCL_1',
          'sip.ruleID': 'SDR_1',
          'sip.phoneNumber': '+15551234',
          'sip.trunkPhoneNumber': '+15550000',
        },
      },
    });
  });

  test('individual: every call has a room of its own', () => {
    const rules = [new SIPDispatchRuleInfo({ rule: individual('call') })];
    const rooms = [1, 2].map(() => {
      const result = dispatch(rules, undefined, facts);
      return result.kind === 'room' ? result.dispatched.room : '';
    });
    expect(rooms[0]).toMatch(/^call_\+15551234_\w+$/);
    expect(rooms[0]).not.toBe(rooms[1]);
  });

  test('callee: the called number is the room', () => {
    const result = dispatch([new SIPDispatchRuleInfo({ rule: callee('line') })], undefined, facts);
    expect(result).toMatchObject({ kind: 'room', dispatched: { room: 'line_+15550000' } });
  });

  test('a PIN is asked for, and only the right one leads in', () => {
    const rules = [
      new SIPDispatchRuleInfo({ rule: direct('one', '1111') }),
      new SIPDispatchRuleInfo({ rule: direct('two', '2222') }),
    ];
    expect(dispatch(rules, undefined, facts)).toEqual({ kind: 'pin' });
    expect(dispatch(rules, undefined, facts, '2222')).toMatchObject({ dispatched: { room: 'two' } });
    expect(dispatch(rules, undefined, facts, '3333')).toMatchObject({ kind: 'none' });
    expect(dispatch(rules, undefined, facts, '')).toMatchObject({ kind: 'none' });
  });

  test('whoever enters no PIN gets to the open rule', () => {
    const rules = [
      new SIPDispatchRuleInfo({ rule: direct('closed', '1111') }),
      new SIPDispatchRuleInfo({ rule: direct('open') }),
    ];
    expect(dispatch(rules, undefined, facts)).toEqual({ kind: 'pin' });
    expect(dispatch(rules, undefined, facts, '')).toMatchObject({ dispatched: { room: 'open' } });
  });

  test('a rule of the trunk comes before one for all trunks', () => {
    const rules = [
      new SIPDispatchRuleInfo({ rule: direct('all') }),
      new SIPDispatchRuleInfo({ rule: direct('own'), trunkIds: ['ST_1'] }),
    ];
    const trunk = new SIPInboundTrunkInfo({ sipTrunkId: 'ST_1' });
    expect(dispatch(rules, trunk, facts)).toMatchObject({ dispatched: { room: 'own' } });
    expect(dispatch(rules, undefined, facts)).toMatchObject({ dispatched: { room: 'all' } });
  });

  test('a hidden number is in no name, identity or attribute', () => {
    const rules = [new SIPDispatchRuleInfo({ rule: individual('call'), hidePhoneNumber: true })];
    expect(JSON.stringify(dispatch(rules, undefined, facts))).not.toContain('15551234');
  });
});

describe('a room', () => {
  test.each([
    ['individual', individual('call'), true],
    ['callee, at random', callee('desk', true), true],
    ['callee', callee('desk'), false],
    ['direct', direct('line'), false],
  ])(
    'of a rule that is %s is over with its call only when it is the call’s own',
    (_what, rule, isOwnRoom) => {
      const result = dispatch([new SIPDispatchRuleInfo({ rule })], undefined, facts);
      const dispatched = result.kind === 'room' ? result.dispatched : undefined;
      expect(dispatched?.isOwnRoom).toBe(isOwnRoom);
      expect(dispatched?.roomConfig?.departureTimeout).toBe(isOwnRoom ? 1 : undefined);
    },
  );
});

describe('the directory', () => {
  test.each([
    ['an inbound trunk that anybody may use', () => new SipDirectory().addInbound(new SIPInboundTrunkInfo())],
    [
      'a user name without a password',
      () => new SipDirectory().addInbound(new SIPInboundTrunkInfo({ authUsername: 'ada' })),
    ],
    ['a rule without a kind', () => new SipDirectory().addRule(new SIPDispatchRuleInfo())],
    [
      'a PIN with letters',
      () => new SipDirectory().addRule(new SIPDispatchRuleInfo({ rule: direct('a', '12ab') })),
    ],
  ])('refuses %s', (_what, add) => {
    expect(add).toThrow(expect.objectContaining({ name: 'DirectoryError', code: 'invalid_argument' }));
  });

  test('refuses a second rule for the same calls, but not a replacement', () => {
    const directory = new SipDirectory();
    const { sipDispatchRuleId } = directory.addRule(new SIPDispatchRuleInfo({ rule: direct('a') }));
    expect(() => directory.addRule(new SIPDispatchRuleInfo({ rule: direct('b') }))).toThrow(/same calls/);
    directory.replaceRule(sipDispatchRuleId, new SIPDispatchRuleInfo({ rule: direct('b') }));
    expect(directory.rules.size).toBe(1);
  });
});

describe('a duration of a trunk', () => {
  test.each([
    ['a second and a half', new Duration({ seconds: 1n, nanos: 5e8 }), 1_500],
    ['a month, which no timer takes', new Duration({ seconds: 2_592_000n }), limits.timer.value],
    ['none', undefined, undefined],
    ['nothing', new Duration(), undefined],
    ['less than nothing', new Duration({ seconds: -5n }), undefined],
  ])('of %s', (_what, duration, ms) => expect(durationMs(duration)).toBe(ms));
});
