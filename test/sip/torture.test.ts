import { describe, expect, test } from 'vitest';
import {
  formatUri,
  nameAddrs,
  parseMessage,
  type SipMessage,
  type SipRequest,
  serializeMessage,
  tagOf,
  userOf,
} from '../../src/sip/message/index.js';
import { type TortureName, tortureMessages } from './torture-messages.js';

function accepted(name: TortureName): SipMessage {
  const parsed = parseMessage(tortureMessages[name]);
  if (parsed.kind !== 'message') throw new Error(`${name} is ${parsed.kind}: ${parsed.why}`);
  return parsed.message;
}

describe('messages of RFC 4475 that are valid (section 3.1.1)', () => {
  test('wsinv: folding and whitespace everywhere', () => {
    const message = accepted('wsinv') as SipRequest;
    expect(message).toMatchObject({ method: 'INVITE', callId: 'wsinv.ndaksdj@192.0.2.1' });
    expect(message.cseq).toEqual({ sequence: 9, method: 'INVITE' });
    expect(message.from.displayName).toBe('J Rosenberg \\"');
    expect([tagOf(message.from), tagOf(message.to)]).toEqual(['98asjd8', '1918181833n']);
    expect(
      message.vias.map(({ transport, host, params }) => [transport, host, params.get('branch')]),
    ).toEqual([
      ['UDP', '192.0.2.2', '390skdjuw'],
      ['TCP', 'spindle.example.com', 'z9hG4bK9ikj8'],
      ['UDP', '192.168.255.111', 'z9hG4bK30239'],
    ]);
    expect(message.headers.get('NewFangledHeader')).toBe('newfangled value continued newfangled value');
    expect(message.headers.get('Subject')).toBe('');
    const [contact] = nameAddrs(message.headers, 'Contact')!;
    expect(contact!.displayName).toBe('Quoted string ""');
    expect([...contact!.params]).toEqual([
      ['newparam', 'newvalue'],
      ['secondparam', undefined],
      ['q', '0.33'],
    ]);
    expect(message.body.toString()).toMatch(/^v=0/);
  });

  test('intmeth: every character that may be where it is', () => {
    const message = accepted('intmeth') as SipRequest;
    expect(message.method).toBe("!interesting-Method0123456789_*+`.%indeed'~");
    expect(message.to.displayName).toBe('BEL:\u0007 NUL:\u0000 DEL:\u007f');
    expect(message.from.displayName).toBe("token1~` token2'+_ token3*%!.-");
    expect(message.callId).toBe('intmeth.word%ZK-!.*_+\'@word`~)(><:\\/"][?}{');
  });

  test('esc01: escapes are part of the user, not of the URI', () => {
    const message = accepted('esc01') as SipRequest;
    expect(userOf(message.uri)).toBe('sips:user@example.com');
    expect(userOf(message.to.uri)).toBe('user');
    const [contact] = nameAddrs(message.headers, 'Contact')!;
    expect('params' in contact!.uri && contact!.uri.params.has('lr')).toBe(true);
  });

  test('escnull: an escaped NUL is a character like others', () => {
    const contacts = nameAddrs(accepted('escnull').headers, 'Contact')!;
    expect(contacts.map(({ uri }) => userOf(uri))).toEqual(['\u0000', '\u0000\u0000']);
  });

  test('esc02: % escapes nothing in methods and header names', () => {
    const message = accepted('esc02') as SipRequest;
    expect(message.method).toBe('RE%47IST%45R');
    expect(message.to.displayName).toBe('%Z%45');
    expect(message.headers.getAll('Contact')).toHaveLength(2);
  });

  test('lwsdisp: no space between a name and its URI', () => {
    expect(accepted('lwsdisp').from).toMatchObject({ displayName: 'caller' });
  });

  test('longreq: long values of every kind', () => {
    expect(accepted('longreq').vias).toHaveLength(34);
  });

  test('dblreq: what follows the body in a datagram is ignored', () => {
    const message = accepted('dblreq');
    expect(message).toMatchObject({ method: 'REGISTER' });
    expect(message.body).toHaveLength(0);
  });

  test('semiuri: a semicolon in the user is the user’s', () => {
    const { uri } = accepted('semiuri') as SipRequest;
    expect(uri).toMatchObject({ user: 'user;par=u%40example.net', host: 'example.com' });
  });

  test('transports: any transport may be in a Via', () => {
    const names = accepted('transports').vias.map(({ transport }) => transport);
    expect(names).toEqual(['UDP', 'SCTP', 'TLS', 'UNKNOWN', 'TCP']);
  });

  test('mpart01: a body of several parts is kept as it is', () => {
    expect(accepted('mpart01').body.toString()).toMatch(
      /^--7a9cbec02ceef655[\s\S]*--7a9cbec02ceef655--\r\n$/,
    );
  });

  test.each([
    ['unreason', 200, '= 2**3 * 5**2 но сто девяносто девять - простое'],
    ['noreason', 100, ''],
  ] as const)('%s: any reason, or none', (name, status, reason) => {
    expect(accepted(name)).toMatchObject({ kind: 'response', status, reason });
  });
});

describe('messages of RFC 4475 that are invalid (section 3.1.2)', () => {
  test.each([
    ['badinv01', 400],
    ['clerr', 400],
    ['ncl', 400],
    ['scalar02', 400],
    ['quotbal', 400],
    ['ltgtruri', 400],
    ['lwsruri', 400],
    ['lwsstart', 400],
    ['trws', 400],
    ['escruri', 400],
    ['regbadct', 400],
    ['badaspec', 400],
    ['baddn', 400],
    ['badvers', 505],
    ['mismatch01', 400],
    ['mismatch02', 400],
    ['insuf', 400],
    ['multi01', 400],
    ['mcl01', 400],
  ] as const)('%s is refused with %s', (name, status) => {
    expect(parseMessage(tortureMessages[name])).toMatchObject({ kind: 'refused', status });
  });

  test('their refusals can be sent where the Via can be read', () => {
    // The Via of badinv01 is what is broken, and that of badvers is of another version.
    const unanswerable = ['badinv01', 'badvers'];
    for (const name of [
      'clerr',
      'ncl',
      'quotbal',
      'insuf',
      'multi01',
      'badaspec',
      'badinv01',
      'badvers',
    ] as const) {
      const parsed = parseMessage(tortureMessages[name]);
      const answerable = parsed.kind === 'refused' && parsed.answerable !== undefined;
      expect([name, answerable]).toEqual([name, !unanswerable.includes(name)]);
    }
  });

  test.each(['scalarlg', 'bigcode'] as const)('%s, a response, is dropped', (name) => {
    expect(parseMessage(tortureMessages[name])).toMatchObject({ kind: 'unusable' });
  });

  test('baddate: a date that nobody reads does no harm', () => {
    expect(accepted('baddate')).toMatchObject({ method: 'INVITE' });
  });
});

test('every message of RFC 4475 is there', () => {
  expect(Object.keys(tortureMessages)).toHaveLength(13 + 19 + 1 + 15 + 1);
});

describe('what is read and written again is the same message', () => {
  test.each([
    'wsinv',
    'esc01',
    'escnull',
    'longreq',
    'semiuri',
    'transports',
    'unreason',
    'regescrt',
    'inv2543',
  ] as const)('%s', (name) => {
    const message = accepted(name);
    const again = parseMessage(serializeMessage(message));
    if (again.kind !== 'message') throw new Error(`${again.kind}: ${again.why}`);
    expect(formatUri(again.message.from.uri)).toBe(formatUri(message.from.uri));
    expect(again.message.vias).toEqual(message.vias);
    expect([...again.message.headers]).toEqual(
      [...message.headers].map(({ name: header, value }) => ({ name: header, value: value.trim() })),
    );
    expect(again.message.body.equals(message.body)).toBe(true);
  });
});
