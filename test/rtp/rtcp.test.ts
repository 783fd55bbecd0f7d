import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  buildNack,
  buildPli,
  buildReceiverReport,
  buildSenderReport,
  parseRtcp,
  type ReportBlock,
} from '../../src/rtp/index.js';
import { toNtp } from '../../src/rtp/rtcp.js';

const bits = (count: number) => fc.integer({ min: 0, max: 2 ** count - 1 });

const reportBlock: fc.Arbitrary<ReportBlock> = fc.record({
  ssrc: bits(32),
  fractionLost: fc.integer({ min: 0, max: 255 }).map((fraction) => fraction / 256),
  cumulativeLost: fc.integer({ min: -0x800000, max: 0x7fffff }),
  highestSequence: bits(32),
  jitter: bits(32),
  lastSenderReport: bits(32),
  delaySinceLastSenderReport: bits(32),
});

describe('RTCP', () => {
  test('reports that are written can be read again', () => {
    fc.assert(
      fc.property(
        bits(32),
        fc.string({ maxLength: 300 }),
        fc.array(reportBlock, { maxLength: 31 }),
        (ssrc, cname, reports) => {
          expect(parseRtcp(buildReceiverReport(ssrc, cname, reports))).toEqual([
            { type: 'receiverReport', ssrc, reports },
          ]);
        },
      ),
    );
    fc.assert(
      fc.property(bits(32), bits(32), bits(32), bits(32), (ssrc, rtpTimestamp, packetCount, octetCount) => {
        const report = { ssrc, ntp: toNtp(1_700_000_000_250), rtpTimestamp, packetCount, octetCount };
        expect(parseRtcp(buildSenderReport({ ...report, cname: 'a' }))).toEqual([
          { type: 'senderReport', ...report, reports: [] },
        ]);
      }),
    );
  });

  test('a NACK names every packet asked for, across the wrap', () => {
    fc.assert(
      fc.property(
        bits(16),
        fc.uniqueArray(fc.integer({ min: 0, max: 200 }), { minLength: 1 }),
        (first, offsets) => {
          const wanted = offsets.sort((a, b) => a - b).map((offset) => (first + offset) & 0xffff);
          expect(parseRtcp(buildNack(1, 2, wanted))).toEqual([
            { type: 'nack', senderSsrc: 1, mediaSsrc: 2, sequenceNumbers: wanted },
          ]);
        },
      ),
    );
  });

  test('compound packets are read one after the other, and unknown ones passed over', () => {
    const unknown = Buffer.from([0x80, 207, 0, 1, 0, 0, 0, 1]);
    expect(
      parseRtcp(Buffer.concat([unknown, buildPli(1, 2), buildNack(1, 2, [3])])).map(({ type }) => type),
    ).toEqual(['pli', 'nack']);
  });

  test('any bytes are parsed or passed over, never an exception', () => {
    const typed = fc
      .tuple(
        fc.constantFrom(200, 201, 202, 203, 205, 206),
        bits(5),
        bits(8),
        fc.uint8Array({ maxLength: 60 }),
      )
      .map(([type, count, words, rest]) => Buffer.from([0x80 | count, type, 0, words % 16, ...rest]));
    fc.assert(
      fc.property(
        fc.oneof(
          typed,
          fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes)),
        ),
        (packet) => {
          expect(Array.isArray(parseRtcp(packet))).toBe(true);
        },
      ),
      { numRuns: 3_000 },
    );
  });

  test('NTP time counts from 1900, with its fraction in 32 bits', () => {
    expect(toNtp(0)).toBe(2_208_988_800n << 32n);
    expect(toNtp(500) & 0xffffffffn).toBe(1n << 31n);
  });
});
