import { describe, expect, test } from 'vitest';
import { limits } from '../../src/sip/limits.js';
import {
  parseMessage,
  type SipMessage,
  StreamFraming,
  serializeMessage,
  tagOf,
} from '../../src/sip/message/index.js';

const head = [
  'INVITE sip:1234@192.0.2.1 SIP/2.0',
  'Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKabc',
  'From: <sip:ada@example.com>;tag=1',
  'To: <sip:1234@192.0.2.1>',
  'Call-ID: call@192.0.2.9',
  'CSeq: 7 INVITE',
];
const bytesOf = (lines: readonly string[], body = '') => Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`);

function accepted(bytes: Buffer): SipMessage {
  const parsed = parseMessage(bytes);
  if (parsed.kind !== 'message') throw new Error(`${parsed.kind}: ${parsed.why}`);
  return parsed.message;
}

describe('a message', () => {
  test('with compact names and folded lines is the one with long names on single lines', () => {
    const short = bytesOf(
      [
        'INVITE sip:1234@192.0.2.1 SIP/2.0',
        'v: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKabc,',
        ' SIP/2.0/TCP 192.0.2.8;branch=z9hG4bKdef',
        'f: <sip:ada@example.com>',
        '\t;tag=1',
        't: <sip:1234@192.0.2.1>',
        'i: call@192.0.2.9',
        'CSeq: 7 INVITE',
        'm: <sip:ada@192.0.2.9>',
        'k: timer',
        'x: 1800',
        'c: application/sdp',
        's: about',
        '  nothing',
        'l: 4',
      ],
      'v=0\n',
    );
    const message = accepted(short);
    expect([message.callId, tagOf(message.from), message.cseq.sequence]).toEqual(['call@192.0.2.9', '1', 7]);
    expect(message.vias.map(({ transport, host }) => [transport, host])).toEqual([
      ['UDP', '192.0.2.9'],
      ['TCP', '192.0.2.8'],
    ]);
    expect([...message.headers].map(({ name, value }) => [name, value])).toEqual([
      ['Contact', '<sip:ada@192.0.2.9>'],
      ['Supported', 'timer'],
      ['Session-Expires', '1800'],
      ['Content-Type', 'application/sdp'],
      ['Subject', 'about nothing'],
    ]);
    expect(message.body.toString()).toBe('v=0\n');
    expect(accepted(serializeMessage(message)).vias).toEqual(message.vias);
  });

  test.each([
    ['vias', (n: number) => Array.from({ length: n }, () => 'Via: SIP/2.0/UDP 192.0.2.8'), limits.vias.value],
    ['headers', (n: number) => Array.from({ length: n }, (_, i) => `X-${i}: x`), limits.headers.value],
  ])('has no more %s than the limit', (_what, lines, most) => {
    const own = head.length - 1;
    const first = _what === 'vias' ? 1 : own;
    expect(parseMessage(bytesOf([...head, ...lines(most - first)])).kind).toBe('message');
    expect(parseMessage(bytesOf([...head, ...lines(most - first + 2)]))).toMatchObject({
      kind: 'refused',
      status: 400,
    });
  });

  test('has no longer head and body than the limits', () => {
    const long = bytesOf([...head, `X: ${'x'.repeat(limits.headBytes.value)}`]);
    expect(parseMessage(long)).toMatchObject({ kind: 'unusable' });
    const fits = bytesOf(head, 'x'.repeat(limits.bodyBytes.value));
    expect(accepted(fits).body).toHaveLength(limits.bodyBytes.value);
    expect(parseMessage(Buffer.concat([fits, Buffer.from('x')]))).toMatchObject({ kind: 'refused' });
  });
});

describe('a stream', () => {
  const message = bytesOf([...head, 'Content-Length: 4'], 'v=0\n');

  test('is cut into messages and keep-alives wherever its chunks end', () => {
    const stream = Buffer.concat([message, Buffer.from('\r\n\r\n'), message, Buffer.from('\r\n'), message]);
    for (let at = 1; at < stream.length; at++) {
      const framing = new StreamFraming();
      const units = [stream.subarray(0, at), stream.subarray(at)].flatMap((chunk) => framing.push(chunk));
      expect(units.map(({ kind }) => kind)).toEqual(['message', 'ping', 'message', 'pong', 'message']);
      const messages = units.flatMap((unit) => (unit.kind === 'message' ? [unit.bytes] : []));
      expect(messages.every((bytes) => bytes.equals(message))).toBe(true);
    }
  });

  test.each([
    ['a head that does not end', Buffer.alloc(limits.headBytes.value + 1, 'x')],
    ['a body that is too long', bytesOf([...head, `Content-Length: ${limits.bodyBytes.value + 1}`])],
    ['a length that is none', bytesOf([...head, 'Content-Length: many'])],
  ])('with %s cannot be followed any more', (_what, bytes) => {
    expect(() => new StreamFraming().push(bytes)).toThrowError(
      expect.objectContaining({ code: 'OFFHOOK_PROTOCOL' }),
    );
  });
});
