import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { parseServerHello, writeClientHello } from '../../../src/transport/dtls/handshake-messages.js';
import { Pair } from './pair.js';
import { handshakeRecord, piece, plainRecord, recordsOf } from './records.js';

const clientHello = 1;
const serverHello = 2;
const helloVerifyRequest = 3;
const suitesAt = 2 + 32 + 1 + 1;

const hello = () => writeClientHello(randomBytes(32), Buffer.alloc(0));

function uint16(...values: number[]): Buffer {
  return Buffer.concat(values.map((value) => Buffer.of(value >> 8, value & 0xff)));
}

/** A hello with other extensions; undefined takes one out. */
function withExtensions(body: Buffer, changes: Record<number, Buffer | undefined>): Buffer {
  const start = suitesAt + 2 + body.readUInt16BE(suitesAt) + 2;
  const extensions = new Map<number, Buffer>();
  for (let at = start + 2; at < body.length; ) {
    const length = body.readUInt16BE(at + 2);
    extensions.set(body.readUInt16BE(at), body.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  for (const [type, change] of Object.entries(changes)) {
    if (change === undefined) extensions.delete(Number(type));
    else extensions.set(Number(type), change);
  }
  const list = [...extensions].map(([type, bytes]) => Buffer.concat([uint16(type, bytes.length), bytes]));
  const all = Buffer.concat(list);
  return Buffer.concat([body.subarray(0, start), uint16(all.length), all]);
}

/** What the server says to a ClientHello, in order. */
function answer(records: Buffer[]): {
  messages: { type: number; body: Buffer }[];
  failure: string | undefined;
} {
  const pair = new Pair(() => []);
  pair.server.connection.start(pair.nowMs);
  for (const record of records) pair.inject(pair.server, record);
  const messages = pair.server.sent
    .flatMap(recordsOf)
    .map((record) => ({ type: record[13]!, body: record.subarray(25) }));
  pair.run(() => pair.server.closed.length > 0, 2_000);
  return { messages, failure: pair.server.closed[0]?.message };
}

const refusal = (body: Buffer) => answer([handshakeRecord(clientHello, 0, body)]).failure;

describe('a DTLS server', () => {
  test('answers a client that has DTLS 1.3, too, with 1.2, however large and cut up its hello is', () => {
    const body = withExtensions(hello(), {
      // GREASE, supported_versions, key_share with a key of X25519MLKEM768, groups that we do not know.
      6682: Buffer.alloc(0),
      43: Buffer.concat([Buffer.of(6), uint16(0xdada, 0xfefc, 0xfefd)]),
      51: Buffer.concat([uint16(1_220, 0x11ec, 1_216), Buffer.alloc(1_216, 5)]),
      10: Buffer.concat([uint16(8, 0x2a2a, 0x11ec, 0x001d, 0x0017)]),
    });
    const pieces = [0, 500, 1_000].map((offset) =>
      plainRecord(
        22,
        piece(clientHello, 0, body.subarray(offset, offset + 500), { length: body.length, offset }),
      ),
    );
    const { messages } = answer([pieces[2]!, pieces[0]!, pieces[1]!]);
    expect(messages.map(({ type }) => type)).toEqual([serverHello, 11, 12, 13, 14]);
    expect(parseServerHello(messages[0]!.body)).toMatchObject({
      suite: 0xc02b,
      srtpProfile: 'AEAD_AES_128_GCM',
    });
    // X25519.
    expect(messages[2]!.body.subarray(0, 3)).toEqual(Buffer.of(3, 0x00, 0x1d));
  });

  test('chooses P-256 for a client that has only that', () => {
    const body = withExtensions(hello(), { 10: uint16(4, 0x0018, 0x0017) });
    const { messages } = answer([handshakeRecord(clientHello, 0, body)]);
    expect(messages[2]!.body.subarray(0, 3)).toEqual(Buffer.of(3, 0x00, 0x17));
  });

  test('connects a client without SRTP, and says so', () => {
    const body = withExtensions(hello(), { 14: undefined });
    const { messages } = answer([handshakeRecord(clientHello, 0, body)]);
    expect(parseServerHello(messages[0]!.body).srtpProfile).toBeUndefined();
  });

  test('refuses a client without what it needs, and names it', () => {
    expect(refusal(withExtensions(hello(), { 23: undefined }))).toContain('extended master secret');
    expect(refusal(withExtensions(hello(), { 10: uint16(2, 0x0018) }))).toContain('cipher suite, group');
    expect(refusal(withExtensions(hello(), { 13: uint16(2, 0x0401) }))).toContain('signature');
    expect(refusal(withExtensions(hello(), { 65281: Buffer.of(1, 7) }))).toContain('renegotiation');
    const otherSuites = hello();
    otherSuites.writeUInt16BE(0xc030, suitesAt + 2);
    expect(refusal(otherSuites)).toContain('cipher suite');
    const older = hello();
    older.writeUInt16BE(0xfeff, 0);
    expect(refusal(older)).toBe('the peer does not support DTLS 1.2');
  });
});

describe('a DTLS client', () => {
  test('says hello again with the cookie that it is asked for, once', () => {
    const pair = new Pair(() => []);
    pair.client.connection.start(pair.nowMs);
    const request = (sequence: number, cookie: string) =>
      handshakeRecord(
        helloVerifyRequest,
        sequence,
        Buffer.concat([Buffer.of(0xfe, 0xff, 6), Buffer.from(cookie)]),
      );
    pair.inject(pair.client, request(0, 'cookie'));
    pair.inject(pair.client, request(1, 'second'));
    expect(pair.client.sent).toHaveLength(2);
    const [first, second] = pair.client.sent.map((datagram) => datagram.subarray(25));
    expect(second!.subarray(2, 34)).toEqual(first!.subarray(2, 34));
    expect(second!.subarray(35, 42).toString()).toBe('\u0006cookie');
    // The number of the message.
    expect(pair.client.sent[1]!.readUInt16BE(17)).toBe(1);
  });

  test('refuses what it did not offer', () => {
    const server = (change: (body: Buffer) => void) => {
      const genuine = answer([handshakeRecord(clientHello, 0, hello())]).messages[0]!.body;
      change(genuine);
      return () => parseServerHello(genuine);
    };
    expect(server(() => {})).not.toThrow();
    expect(server((body) => body.writeUInt16BE(0xc030, 35))).toThrow('cipher suite');
    expect(server((body) => body.writeUInt16BE(0xfeff, 0))).toThrow('not DTLS 1.2');
    expect(server((body) => body.writeUInt16BE(0x1234, 40))).toThrow('extension 4660');
    expect(server((body) => body.writeUInt16BE(0x0002, body.length - 3))).toThrow('SRTP profile');
  });
});
