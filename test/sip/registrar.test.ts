import { describe, expect, test } from 'vitest';
import { Registrar } from '../../src/sip/auth/index.js';
import { formatUri, parseMessage, type SipRequest } from '../../src/sip/message/index.js';
import type { Flow } from '../../src/sip/transport/index.js';

const flow = { protocol: 'udp', remote: { address: '192.0.2.9', port: 5060 } } as Flow;

interface Register {
  /** Headers in the order in which they are written. */
  headers: string[];
  user?: string;
  callId?: string;
  sequence?: number;
}

function register({ headers, user = 'ada', callId = 'phone', sequence = 1 }: Register): SipRequest {
  const text = [
    'REGISTER sip:192.0.2.1 SIP/2.0',
    `Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK${callId}${sequence}`,
    `From: <sip:${user}@192.0.2.1>;tag=1`,
    `To: <sip:${user}@192.0.2.1>`,
    `Call-ID: ${callId}`,
    `CSeq: ${sequence} REGISTER`,
    ...headers,
    '',
    '',
  ].join('\r\n');
  const parsed = parseMessage(Buffer.from(text));
  if (parsed.kind !== 'message' || parsed.message.kind !== 'request') throw new Error('not a request');
  return parsed.message;
}

const a = 'Contact: <sip:ada@192.0.2.9:5060>';
const b = 'Contact: <sip:ada@192.0.2.10:5062>';
const boundA = (expiresS: number) => `<sip:ada@192.0.2.9:5060>;expires=${expiresS}`;
const boundB = (expiresS: number) => `<sip:ada@192.0.2.10:5062>;expires=${expiresS}`;

/** When it comes, in seconds from the beginning, what it says, and what is answered: a status, and the contacts. */
type Step = [atS: number, request: Omit<Register, 'user'>, status: number, contacts: string[]];

const cases: Record<string, Step[]> = {
  'a contact is bound for as long as its parameter says, which goes before the header': [
    [0, { headers: [`${a};expires=120`, 'Expires: 300'] }, 200, [boundA(120)]],
    [119, { headers: [], callId: 'asks' }, 200, [boundA(1)]],
    [120, { headers: [], callId: 'asks', sequence: 2 }, 200, []],
  ],
  'a contact is bound for as long as the header says': [
    [0, { headers: [a, 'Expires: 300'] }, 200, [boundA(300)]],
    [300, { headers: [], callId: 'asks' }, 200, []],
  ],
  'a contact without a time is bound for ten minutes': [[0, { headers: [a] }, 200, [boundA(600)]]],
  'no contact is bound for longer than an hour': [
    [0, { headers: [`${a};expires=99999`] }, 200, [boundA(3_600)]],
    [0, { headers: [`${b};expires=99999999999999999999`], callId: 'b' }, 200, [boundA(3_600), boundB(3_600)]],
  ],
  'a time that is too short is refused, and nothing of the request is taken': [
    [0, { headers: [`${a};expires=120`] }, 200, [boundA(120)]],
    [10, { headers: [`${b};expires=120`, `${a};expires=59`], sequence: 2 }, 423, []],
    [20, { headers: [], callId: 'asks' }, 200, [boundA(100)]],
  ],
  'a refresh begins the time again, and leaves one contact': [
    [0, { headers: [`${a};expires=120`] }, 200, [boundA(120)]],
    [100, { headers: [`${a};expires=120`], sequence: 2 }, 200, [boundA(120)]],
    [219, { headers: [], callId: 'asks' }, 200, [boundA(1)]],
  ],
  'several telephones of one user are bound beside each other, each with its own time': [
    [0, { headers: [`${a};expires=120`] }, 200, [boundA(120)]],
    [60, { headers: [`${b};expires=120`], callId: 'b' }, 200, [boundA(60), boundB(120)]],
    [120, { headers: [], callId: 'asks' }, 200, [boundB(60)]],
  ],
  'one request binds several contacts': [
    [0, { headers: [`${a};expires=120`, `${b};expires=180`] }, 200, [boundA(120), boundB(180)]],
  ],
  'a contact with no time left is removed, and the others stay': [
    [0, { headers: [`${a};expires=120`, `${b};expires=180`] }, 200, [boundA(120), boundB(180)]],
    [0, { headers: [`${a};expires=0`], sequence: 2 }, 200, [boundB(180)]],
  ],
  'removing what is not bound changes nothing': [
    [0, { headers: [`${a};expires=120`] }, 200, [boundA(120)]],
    [0, { headers: [`${b};expires=0`], sequence: 2 }, 200, [boundA(120)]],
  ],
  '`Contact: *` removes all': [
    [0, { headers: [`${a};expires=120`, `${b};expires=180`] }, 200, [boundA(120), boundB(180)]],
    [0, { headers: ['Contact: *', 'Expires: 0'], sequence: 2 }, 200, []],
    [0, { headers: [], callId: 'asks' }, 200, []],
  ],
  '`Contact: *` with a time, without one, or beside another contact is refused': [
    [0, { headers: [`${a};expires=120`] }, 200, [boundA(120)]],
    [0, { headers: ['Contact: *', 'Expires: 60'], sequence: 2 }, 400, []],
    [0, { headers: ['Contact: *'], sequence: 3 }, 400, []],
    [0, { headers: ['Contact: *', b, 'Expires: 0'], sequence: 4 }, 400, []],
    [0, { headers: [], callId: 'asks' }, 200, [boundA(120)]],
  ],
  'a request that a later one of the same telephone has overtaken is refused': [
    [0, { headers: [`${a};expires=120`], sequence: 5 }, 200, [boundA(120)]],
    [0, { headers: [`${a};expires=0`], sequence: 4 }, 500, []],
    [0, { headers: ['Contact: *', 'Expires: 0'], sequence: 5 }, 500, []],
    [0, { headers: [`${a};expires=180`], callId: 'restarted' }, 200, [boundA(180)]],
  ],
  'a contact that no call can be sent to is refused': [
    [0, { headers: ['Contact: <mailto:ada@example.com>'] }, 400, []],
  ],
};

describe('a registrar', () => {
  test.each(Object.entries(cases))('%s', (_name, steps) => {
    const registrar = new Registrar();
    for (const [atS, request, status, contacts] of steps) {
      const outcome = registrar.register(register(request), flow, 1_000 + atS * 1_000);
      expect(outcome.status, `after ${atS} s: ${request.headers.join(', ')}`).toBe(status);
      expect(outcome.headers.getAll('Contact')).toEqual(contacts);
      expect(outcome.headers.get('Min-Expires')).toBe(status === 423 ? '60' : undefined);
    }
  });

  const found = (registrar: Registrar, user: string) =>
    registrar.find(user, 0).map(({ contact }) => formatUri(contact));

  test('finds the telephone that logged in last first', () => {
    const registrar = new Registrar();
    registrar.register(register({ headers: [a] }), flow, 0);
    registrar.register(register({ headers: [b], callId: 'b' }), flow, 0);
    expect(found(registrar, 'ada')).toEqual(['sip:ada@192.0.2.10:5062', 'sip:ada@192.0.2.9:5060']);
  });

  test('holds no more than ten telephones of a user: the one that was heard longest ago is forgotten', () => {
    const registrar = new Registrar();
    for (let i = 0; i < 12; i++) {
      const headers = [`Contact: <sip:ada@192.0.2.${i + 1}>`];
      expect(registrar.register(register({ headers, callId: `${i}` }), flow, 0).status).toBe(200);
    }
    const contacts = found(registrar, 'ada');
    expect(contacts).toHaveLength(10);
    expect([contacts[0], contacts[9]]).toEqual(['sip:ada@192.0.2.12', 'sip:ada@192.0.2.3']);
  });

  test('holds no more than a thousand users that are logged in', () => {
    const registrar = new Registrar();
    const logIn = (user: string, nowMs: number) =>
      registrar.register(register({ headers: [`${a};expires=60`], user, callId: user }), flow, nowMs).status;
    for (let i = 0; i < 1_000; i++) expect(logIn(`user${i}`, 0)).toBe(200);
    expect(logIn('late', 0)).toBe(403);
    expect(logIn('user7', 0)).toBe(500);
    expect(logIn('late', 60_000)).toBe(200);
    expect(registrar.userCount).toBe(1);
  });
});
