import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sequenceDifference } from '../../src/rtp/index.js';
import { RtpRewriter } from '../../src/server/sfu/rtp-rewriter.js';

/** The short way round, as timestamps of 32 bits wrap. */
const timestampDifference = (a: number, b: number) => (a - b) | 0;

const clockRate = 48_000;
const packetUnits = 960;
const uint16 = fc.integer({ min: 0, max: 0xffff });
const uint32 = fc.integer({ min: 0, max: 0xffffffff });

test('a stream without losses stays one, wherever it begins and across wrap-around', () => {
  fc.assert(
    fc.property(
      uint16,
      uint32,
      fc.integer({ min: 2, max: 400 }),
      (firstSequence, firstTimestamp, packets) => {
        const rewriter = new RtpRewriter(clockRate);
        const positions = Array.from({ length: packets }, (_, i) =>
          rewriter.rewrite(1, (firstSequence + i) & 0xffff, (firstTimestamp + i * packetUnits) >>> 0, i * 20),
        );
        for (let i = 1; i < packets; i++) {
          expect(sequenceDifference(positions[i]!.sequenceNumber, positions[i - 1]!.sequenceNumber)).toBe(1);
          expect(timestampDifference(positions[i]!.timestamp, positions[i - 1]!.timestamp)).toBe(packetUnits);
        }
      },
    ),
  );
});

test('losses and reordering are seen by the subscriber as they were', () => {
  const order = fc.shuffledSubarray([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], { minLength: 2 });
  fc.assert(
    fc.property(uint16, order, (firstSequence, arrivals) => {
      const rewriter = new RtpRewriter(clockRate);
      const out = arrivals.map((i) => rewriter.rewrite(1, (firstSequence + i) & 0xffff, i * packetUnits, 0));
      for (let k = 1; k < arrivals.length; k++) {
        const distance = arrivals[k]! - arrivals[0]!;
        expect(sequenceDifference(out[k]!.sequenceNumber, out[0]!.sequenceNumber)).toBe(distance);
        expect(timestampDifference(out[k]!.timestamp, out[0]!.timestamp)).toBe(distance * packetUnits);
      }
    }),
  );
});

test('packets that are left out leave no gap', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 100 }), (kept) => {
      const rewriter = new RtpRewriter(clockRate);
      rewriter.rewrite(1, 65_500, 0, 0);
      const last = kept.reduce<number | undefined>((previous, keep, i) => {
        const sequenceNumber = (65_501 + i) & 0xffff;
        if (!keep) {
          rewriter.skip(1, sequenceNumber);
          return previous;
        }
        const { sequenceNumber: out } = rewriter.rewrite(
          1,
          sequenceNumber,
          (i + 1) * packetUnits,
          (i + 1) * 20,
        );
        if (previous !== undefined) expect(sequenceDifference(out, previous)).toBe(1);
        return out;
      }, undefined);
      expect(last === undefined || last >= 0).toBe(true);
    }),
  );
});

test('another source goes on where the one before it stopped', () => {
  const rewriter = new RtpRewriter(clockRate, () => 0.5);
  const before = rewriter.rewrite(1, 100, 5_000, 1_000);
  const after = rewriter.rewrite(2, 40_000, 77, 1_040);
  expect(sequenceDifference(after.sequenceNumber, before.sequenceNumber)).toBe(1);
  expect(timestampDifference(after.timestamp, before.timestamp)).toBe(40 * 48);
});
