import { describe, expect, test } from 'vitest';
import { defaultGuardLimits, SipGuard } from '../../src/sip/gateway/guard.js';
import { Headers, parseNameAddr, type SipRequest } from '../../src/sip/message/index.js';
import type { Flow } from '../../src/sip/transport/index.js';

const flow = (address: string, protocol: Flow['protocol'] = 'udp'): Flow => ({
  protocol,
  remote: { address, port: 5060 },
  local: { address: '192.0.2.1', port: 5060 },
  isOpen: true,
  send: () => {},
});
const from = (agent: string) =>
  ({ headers: Headers.of({ 'User-Agent': agent }), from: parseNameAddr('<sip:a@b>')! }) as SipRequest;

function guard() {
  let nowMs = 0;
  return { guard: new SipGuard(() => nowMs), pass: (ms: number) => (nowMs += ms) };
}

describe('the guard', () => {
  test('lets a burst through, then so many messages a second, and others all the time', () => {
    const { guard: it, pass } = guard();
    const { burst, perSecond } = defaultGuardLimits.messages;
    const admitted = () =>
      Array.from({ length: burst * 2 }, () => it.admit(flow('192.0.2.9'))).filter(Boolean).length;
    expect(admitted()).toBe(burst);
    pass(1_000);
    expect(admitted()).toBe(perSecond);
    expect(it.admit(flow('192.0.2.10'))).toBe(true);
  });

  test.each(['friendly-scanner', 'sipvicious', 'SIPScan', 'sipcli/v1.8', 'VaxSIPUserAgent/3.1', 'Gulp'])(
    '%s gets no answer, and is not heard afterwards where it has a connection',
    (agent) => {
      const { guard: it } = guard();
      expect(it.screen(from(agent), flow('192.0.2.9', 'tcp'))).toBe(false);
      expect(it.admit(flow('192.0.2.9', 'tcp'))).toBe(false);
    },
  );

  test('a datagram of a scanner does not silence the address that it claims to come from', () => {
    const { guard: it } = guard();
    expect(it.screen(from('friendly-scanner'), flow('192.0.2.9'))).toBe(false);
    expect(it.admit(flow('192.0.2.9'))).toBe(true);
    expect(it.screen(from('baresip'), flow('192.0.2.9'))).toBe(true);
  });

  test.each(['baresip v1.0.0', 'Linphone/4.2', 'kamailio (5.4.4)', 'FPBX-16', ''])(
    '%j gets answers',
    (agent) => {
      expect(guard().guard.screen(from(agent), flow('192.0.2.9'))).toBe(true);
    },
  );

  test('whoever guesses is not heard for a minute, then for two', () => {
    const { guard: it, pass } = guard();
    const guess = () => {
      for (let i = 0; i < defaultGuardLimits.wrongCredentials; i++) it.wrongCredentials('192.0.2.9');
    };
    guess();
    expect(it.admit(flow('192.0.2.9'))).toBe(false);
    pass(60_000);
    expect(it.admit(flow('192.0.2.9'))).toBe(true);
    guess();
    pass(119_999);
    expect(it.admit(flow('192.0.2.9'))).toBe(false);
    pass(1);
    expect(it.admit(flow('192.0.2.9'))).toBe(true);
  });

  test('right credentials forgive the wrong ones before', () => {
    const { guard: it } = guard();
    for (let i = 0; i < 50; i++) {
      it.wrongCredentials('192.0.2.9');
      it.rightCredentials('192.0.2.9');
    }
    expect(it.admit(flow('192.0.2.9'))).toBe(true);
  });

  test('remembers no more than ten thousand addresses', () => {
    const { guard: it } = guard();
    for (let i = 0; i < 12_000; i++) it.admit(flow(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`));
    expect(it.knownAddresses).toBe(10_000);
  });
});
