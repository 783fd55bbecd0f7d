import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crc32c, packetChecksum } from '../../../src/transport/sctp/crc32c.js';
import { decodeDcep } from '../../../src/transport/sctp/dcep.js';
import { decodeInit } from '../../../src/transport/sctp/init-chunk.js';
import { chunk, chunkType, dataFlag } from '../../../src/transport/sctp/packet.js';
import { StateCookies } from '../../../src/transport/sctp/state-cookie.js';
import { connectedPair, type Pair } from './association-pair.js';

/** A packet as the peer of `pair.other` would send it. */
function forge(tag: number, ...chunks: Buffer[]): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(5000, 0);
  header.writeUInt16BE(5000, 2);
  header.writeUInt32BE(tag, 4);
  const packet = Buffer.concat([
    header,
    ...chunks.flatMap((bytes) => [bytes, Buffer.alloc(-bytes.length & 3)]),
  ]);
  packet.writeUInt32LE(packetChecksum(packet), 8);
  return packet;
}

function data(
  tsn: number,
  streamId: number,
  ssn: number,
  payload: Buffer,
  flags: number = dataFlag.begin | dataFlag.end,
): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt32BE(tsn >>> 0, 0);
  header.writeUInt16BE(streamId, 4);
  header.writeUInt16BE(ssn & 0xffff, 6);
  return chunk(chunkType.data, flags, header, payload);
}

/** An association under attack: its tag, the next TSN that it expects, and what it answers. */
function victim(): Pair & {
  tag: number;
  nextTsn: number;
  answers: Buffer[];
  attack: (...chunks: Buffer[]) => void;
} {
  const pair = connectedPair({}, { initialTsn: 1000 });
  let tag = 0;
  pair.link.drop = (packet) => {
    tag = packet.readUInt32BE(4);
    return true;
  };
  pair.one.association.send(0, 53, Buffer.from('x'), { ordered: true }, pair.link.nowMs);
  const answers: Buffer[] = [];
  pair.link.drop = (packet, from) => {
    if (from === 1) answers.push(Buffer.from(packet));
    return true;
  };
  return {
    ...pair,
    tag,
    nextTsn: 1000,
    answers,
    attack: (...chunks) => pair.other.association.handlePacket(forge(tag, ...chunks), pair.link.nowMs),
  };
}

test('the checksum is the one of RFC 9260, of any length', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
  expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43);
  // A byte at a time, as the definition has it.
  const slow = (bytes: Uint8Array): number => {
    let register = -1;
    for (const byte of bytes) {
      register ^= byte;
      for (let bit = 0; bit < 8; bit++)
        register = register & 1 ? (register >>> 1) ^ 0x82f63b78 : register >>> 1;
    }
    return ~register >>> 0;
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => crc32c(bytes) === slow(bytes)));
});

describe('hostile packets', () => {
  test('of any bytes have no effect', () => {
    const { other, link, tag } = victim();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.boolean(), (bytes, hasHeader) => {
        const packet = hasHeader ? forge(tag, Buffer.from(bytes)) : Buffer.from(bytes);
        other.association.handlePacket(packet, link.nowMs);
        expect(other.association.heldBytes).toBeLessThan(1_400_000);
      }),
      { numRuns: 3000 },
    );
  });

  test('made of real chunks with any fields leave the association as it is or end it', () => {
    const types = Object.values(chunkType);
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            fc.constantFrom(...types, 63, 64, 128, 255),
            fc.nat(255),
            fc.uint8Array({ maxLength: 60 }),
          ),
          { minLength: 1, maxLength: 6 },
        ),
        fc.nat(2),
        (chunks, near) => {
          const { attack, other, link } = victim();
          attack(
            ...chunks.map(([type, flags, body]) => {
              const bytes = Buffer.from(body);
              // Numbers near the expected ones reach further than any.
              if (bytes.length >= 4 && near > 0) bytes.writeUInt32BE(998 + (bytes[3]! % 8), 0);
              return chunk(type, flags, bytes);
            }),
          );
          link.run(3000);
          expect(other.association.heldBytes).toBeLessThan(10_000);
          // It tells its owner when it ends, and leaves no timer behind.
          const hasEnded = other.association.state === 'ended';
          expect(other.closed !== undefined).toBe(hasEnded);
          if (hasEnded) expect(other.association.nextTimeoutMs).toBeUndefined();
        },
      ),
      { numRuns: 1000 },
    );
  });

  test('with a wrong tag, port or checksum are dropped', () => {
    const { other, link, tag, answers } = victim();
    const good = forge(tag, data(1000, 0, 0, Buffer.from('x')));
    for (const at of [0, 2, 4, 8, 20]) {
      const bad = Buffer.from(good);
      bad[at]! ^= 1;
      other.association.handlePacket(bad, link.nowMs);
    }
    expect(other.association.counters.invalidPackets).toBe(5);
    expect(other.received).toHaveLength(0);
    expect(answers).toHaveLength(0);
  });

  test('for a stream that does not exist are acknowledged and reported', () => {
    const { attack, other, link, answers, nextTsn } = victim();
    attack(data(nextTsn, 65_535, 0, Buffer.from('x')));
    link.run(100);
    expect(other.received).toHaveLength(0);
    expect(answers[0]!.includes(Buffer.from([chunkType.error, 0, 0, 12, 0, 1, 0, 8, 0xff, 0xff]))).toBe(true);
    expect(other.association.state).toBe('established');
  });

  test('with an unknown chunk are reported or not, and read further or not, as its highest bits ask', () => {
    for (const [type, isReported, isReadFurther] of [
      [0x3f, false, false],
      [0x7f, true, false],
      [0xbf, false, true],
      [0xff, true, true],
    ] as const) {
      const { attack, other, link, answers, nextTsn } = victim();
      attack(chunk(type, 0, Buffer.from('what')), data(nextTsn, 0, 0, Buffer.from('x')));
      link.run(100);
      expect(other.received.length === 1, `chunk ${type} read further`).toBe(isReadFurther);
      expect(
        answers.some((packet) => packet[12] === chunkType.error),
        `chunk ${type} reported`,
      ).toBe(isReported);
    }
  });

  test('from far ahead are dropped, and others with gaps held up to the window', () => {
    const { attack, other, nextTsn } = victim();
    for (const ahead of [20_000, 100_000, 0x7fff_0000])
      attack(data(nextTsn + ahead, 0, 5, Buffer.alloc(1000)));
    expect(other.association.heldBytes).toBe(0);
    expect(other.association.counters.droppedFragments).toBe(3);
    for (let i = 1; i < 20_000; i++) attack(data(nextTsn + i, i % 1000, 5, Buffer.alloc(1 + (i % 1000))));
    expect(other.association.heldBytes).toBeLessThanOrEqual(1024 * 1024 + 1200);
    expect(other.association.state).toBe('established');
  });

  test('that leave messages incomplete in order, without end, end the association', () => {
    const { attack, other, nextTsn } = victim();
    let sent = 0;
    while (other.association.state === 'established' && sent < 5_000_000) {
      attack(data(nextTsn + sent, sent % 1000, 0, Buffer.alloc(1000), dataFlag.begin));
      sent++;
    }
    expect(sent).toBeLessThan(2000);
    expect(other.closed?.error?.code).toBe('OFFHOOK_PROTOCOL');
  });

  test('without data end the association, as the protocol asks', () => {
    const { attack, other, answers, nextTsn } = victim();
    attack(data(nextTsn, 0, 0, Buffer.alloc(0)));
    expect(other.closed?.error?.code).toBe('OFFHOOK_PROTOCOL');
    expect(answers.at(-1)![12]).toBe(chunkType.abort);
  });

  test('that skip numbers by any amount leave an association that takes what follows', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(0x7fff_ffff), { minLength: 1, maxLength: 5 }),
        fc.array(fc.nat(0xffff), { maxLength: 20 }),
        (jumps, ssns) => {
          const { attack, other, nextTsn } = victim();
          let tsn = nextTsn;
          for (const jump of jumps) {
            attack(
              data(tsn + 2, 3, 7, Buffer.from('waits')),
              data(tsn + 4, 4, 0, Buffer.from('part'), dataFlag.begin),
            );
            tsn = (tsn + jump) >>> 0;
            const body = Buffer.alloc(4 + 4 * ssns.length);
            body.writeUInt32BE(tsn, 0);
            for (const [i, ssn] of ssns.entries()) body.writeUInt32BE((i << 16) | ssn, 4 + 4 * i);
            attack(chunk(chunkType.forwardTsn, 0, body));
          }
          const before = other.received.length;
          for (let i = 0; i < 6; i++)
            attack(
              data(
                tsn + 1 + i,
                500,
                i,
                Buffer.from('next'),
                dataFlag.begin | dataFlag.end | dataFlag.unordered,
              ),
            );
          expect(other.received.length).toBeGreaterThan(before);
          expect(other.association.heldBytes).toBeLessThan(10_000);
        },
      ),
      { numRuns: 300 },
    );
  });

  test('that acknowledge what was never sent are ignored', () => {
    const { one, link } = connectedPair({}, { initialTsn: 1000 });
    let tag = 0;
    link.drop = (packet, from) => {
      if (from === 1) tag = packet.readUInt32BE(4);
      return from === 1;
    };
    one.association.send(0, 53, Buffer.from('x'), { ordered: true }, link.nowMs);
    link.run(30);
    fc.assert(
      fc.property(
        fc.integer({ min: 1001, max: 0x8000_0000 }),
        fc.array(fc.tuple(fc.nat(0xfffd), fc.nat(0xffff)), { maxLength: 200 }),
        fc.boolean(),
        (cumulativeTsn, gaps, isPlausible) => {
          const body = Buffer.alloc(12 + 4 * gaps.length);
          body.writeUInt32BE(isPlausible ? 999 : cumulativeTsn, 0);
          body.writeUInt32BE(100_000, 4);
          body.writeUInt16BE(gaps.length, 8);
          for (const [i, [start, end]] of gaps.entries()) {
            // Never the fragment that is outstanding.
            body.writeUInt16BE(start + 2, 12 + 4 * i);
            body.writeUInt16BE(end, 14 + 4 * i);
          }
          one.association.handlePacket(forge(tag, chunk(chunkType.sack, 0, body)), link.nowMs);
        },
      ),
    );
    expect(one.association.nextTimeoutMs).toBeDefined();
    expect(one.association.state).toBe('established');
  });

  test('with requests to reset any streams are answered, and cost no memory', () => {
    const { attack, other, link, answers, nextTsn } = victim();
    for (let i = 0; i < 2000; i++) {
      const value = Buffer.alloc(16 + 2 * 100);
      value.writeUInt16BE(13, 0);
      value.writeUInt16BE(value.length, 2);
      value.writeUInt32BE(1000 + (i % 3 === 0 ? i * 7919 : 0), 4);
      value.writeUInt32BE(nextTsn - 1, 12);
      randomBytes(200).copy(value, 16);
      attack(chunk(chunkType.reconfig, 0, value));
    }
    link.run(100);
    expect(other.association.state).toBe('established');
    expect(answers.length).toBeGreaterThan(0);
  });
});

describe('a state cookie', () => {
  const content = {
    localTag: 7,
    peer: {
      tag: 9,
      windowBytes: 100_000,
      outboundStreams: 10,
      inboundStreams: 20,
      initialTsn: 0xffff_fff0,
      forwardTsn: true,
      reconfig: false,
      zeroChecksum: true,
    },
  };

  test('comes back as it was sealed, for a minute', () => {
    const cookies = new StateCookies();
    const cookie = cookies.seal(content, 5000);
    expect(cookies.open(cookie, 65_000)).toEqual({ ...content, isStale: false });
    expect(cookies.open(cookie, 65_001)).toEqual({ ...content, isStale: true });
  });

  test('that was changed or made by another is refused', () => {
    const cookies = new StateCookies();
    const cookie = cookies.seal(content, 0);
    expect(new StateCookies().open(cookie, 0)).toBeUndefined();
    for (let bit = 0; bit < 8 * cookie.length; bit++) {
      const changed = Buffer.from(cookie);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(cookies.open(changed, 0)).toBeUndefined();
    }
    fc.assert(fc.property(fc.uint8Array(), (bytes) => cookies.open(Buffer.from(bytes), 0) === undefined));
  });
});

test('INIT chunks and data channel messages of any bytes are read or refused', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      const init = decodeInit(Buffer.from(bytes));
      if (init !== undefined)
        expect(init.unrecognized.reduce((sum, { length }) => sum + length, 0)).toBeLessThanOrEqual(256);
      const message = decodeDcep(Buffer.from([3, ...bytes]));
      if (message?.type === 'open') expect(message.parameters.label.length).toBeLessThanOrEqual(1024);
    }),
    { numRuns: 2000 },
  );
});
