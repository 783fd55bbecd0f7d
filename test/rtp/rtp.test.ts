import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isRtcp, parseRtp, sequenceDifference, serializeRtp } from '../../src/rtp/index.js';
import type { RtpHeader } from '../../src/rtp/rtp.js';

const bits = (count: number) => fc.integer({ min: 0, max: 2 ** count - 1 });
const bytes = (minLength: number, maxLength: number) => fc.uint8Array({ minLength, maxLength });

const header: fc.Arbitrary<RtpHeader> = fc.record({
  payloadType: bits(7),
  marker: fc.boolean(),
  sequenceNumber: bits(16),
  timestamp: bits(32),
  ssrc: bits(32),
  extensions: fc.uniqueArray(fc.record({ id: fc.integer({ min: 1, max: 14 }), data: bytes(1, 16) }), {
    selector: ({ id }) => id,
    maxLength: 6,
  }),
});

describe('RTP', () => {
  test('what is written can be read again', () => {
    fc.assert(
      fc.property(header, bytes(0, 200), (written, payload) => {
        const { extensions, ...fields } = parseRtp(serializeRtp(written, payload))!;
        const { extensions: writtenExtensions, ...writtenFields } = written;
        expect(fields).toEqual({ ...writtenFields, payload: Buffer.from(payload) });
        expect([...extensions].map(([id, data]) => ({ id, data: new Uint8Array(data) }))).toEqual(
          writtenExtensions!.map(({ id, data }) => ({ id, data: new Uint8Array(data) })),
        );
      }),
    );
  });

  test('any bytes are parsed or refused, never an exception', () => {
    fc.assert(
      fc.property(bytes(0, 120), (packet) => {
        const parsed = parseRtp(Buffer.from(packet));
        if (parsed) expect(parsed.payload.length).toBeLessThanOrEqual(packet.length - 12);
      }),
      { numRuns: 2_000 },
    );
  });

  test('a packet that was cut short is refused or loses payload only', () => {
    fc.assert(
      fc.property(header, bytes(1, 50), fc.nat(), (written, payload, cut) => {
        const whole = serializeRtp(written, payload);
        const parsed = parseRtp(whole.subarray(0, cut % whole.length));
        if (parsed) expect(parsed.sequenceNumber).toBe(written.sequenceNumber);
      }),
    );
  });

  test('padding, contributing sources and two-byte extensions are understood', () => {
    const packet = Buffer.from([
      0b1011_0001, 111, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 9, 0x10, 0, 0, 1, 20, 1, 0xaa, 0, 1, 2, 3, 0,
      0, 3,
    ]);
    expect(parseRtp(packet)).toMatchObject({
      payloadType: 111,
      ssrc: 3,
      extensions: new Map([[20, Buffer.of(0xaa)]]),
      payload: Buffer.of(1, 2, 3),
    });
  });

  test('RTCP is told apart by its second byte', () => {
    expect(isRtcp(Buffer.from([0x80, 200, 0, 1, 0, 0, 0, 1]))).toBe(true);
    expect(
      isRtcp(
        serializeRtp(
          { payloadType: 111, marker: true, sequenceNumber: 1, timestamp: 1, ssrc: 1 },
          Buffer.alloc(8),
        ),
      ),
    ).toBe(false);
  });

  test('differences of counters that wrap around are the short way round', () => {
    fc.assert(
      fc.property(bits(16), fc.integer({ min: -32_768, max: 32_767 }), (from, step) => {
        expect(sequenceDifference((from + step) & 0xffff, from)).toBe(step);
      }),
    );
  });
});
