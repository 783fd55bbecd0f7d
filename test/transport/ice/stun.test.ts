import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  hasIntegrity,
  parseStun,
  parseXorAddress,
  type StunMessage,
  serializeStun,
  xorAddress,
} from '../../../src/transport/ice/stun.js';

const bytes = (minLength: number, maxLength: number) =>
  fc.uint8Array({ minLength, maxLength }).map((array) => Buffer.from(array));

const message: fc.Arbitrary<StunMessage> = fc.record({
  class: fc.constantFrom('request', 'indication', 'success', 'error'),
  method: fc.integer({ min: 0, max: 0x7f }),
  transactionId: bytes(12, 12),
  attributes: fc.array(
    fc.record({
      type: fc.integer({ min: 0, max: 0xffff }).filter((type) => type !== 0x0008 && type !== 0x8028),
      value: bytes(0, 40),
    }),
    { maxLength: 6 },
  ),
});

/** RFC 5769, section 2.1: a request with long-known integrity and fingerprint. */
const sampleRequest = Buffer.from(
  '000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff' +
    '80290008932ff9b151263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249' +
    'c1b571a280280004e57a3bcf',
  'hex',
);

describe('STUN', () => {
  test('reads and signs the sample request of RFC 5769', () => {
    const parsed = parseStun(sampleRequest)!;
    expect(parsed).toMatchObject({ class: 'request', method: 1 });
    expect(parsed.attributes.find(({ type }) => type === 6)!.value.toString()).toBe('evtj:h6vY');
    expect(hasIntegrity(sampleRequest, 'VOkJxbRl1RmTxUk/WvJxBt')).toBe(true);
    expect(hasIntegrity(sampleRequest, 'another password')).toBe(false);
    // The sample pads with spaces, which count for nothing but in the checksums.
    expect(parseStun(serializeStun(parsed, 'VOkJxbRl1RmTxUk/WvJxBt'))).toEqual(parsed);
  });

  test('what is written can be read again, and its signature holds for its key alone', () => {
    fc.assert(
      fc.property(message, fc.string({ minLength: 1 }), (written, key) => {
        const packet = serializeStun(written, key);
        expect(parseStun(packet)).toEqual(written);
        expect(hasIntegrity(packet, key)).toBe(true);
        expect(hasIntegrity(packet, `${key}x`)).toBe(false);
        expect(hasIntegrity(serializeStun(written), key)).toBe(false);
      }),
    );
  });

  test('addresses of both families survive being masked', () => {
    const address = fc.oneof(fc.ipV4(), fc.ipV6());
    fc.assert(
      fc.property(address, fc.integer({ min: 0, max: 65_535 }), bytes(12, 12), (ip, port, transactionId) => {
        const read = parseXorAddress(xorAddress({ address: ip, port }, transactionId), transactionId)!;
        expect(read.port).toBe(port);
        expect(xorAddress(read, transactionId)).toEqual(xorAddress({ address: ip, port }, transactionId));
      }),
    );
    const id = Buffer.alloc(12, 1);
    expect(parseXorAddress(xorAddress({ address: '::ffff:1.2.3.4', port: 1 }, id), id)!.address).toBe(
      '0:0:0:0:0:ffff:102:304',
    );
  });

  test('any bytes are parsed or refused, never an exception', () => {
    const withHeader = bytes(0, 60).map((body) =>
      Buffer.concat([Buffer.from([0, 1, 0, body.length, 0x21, 0x12, 0xa4, 0x42]), Buffer.alloc(12), body]),
    );
    fc.assert(
      fc.property(fc.oneof(bytes(0, 80), withHeader), (packet) => {
        parseStun(packet);
        hasIntegrity(packet, 'key');
        parseXorAddress(packet, Buffer.alloc(12));
      }),
      { numRuns: 3_000 },
    );
  });
});
