import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sequenceDifference } from '../../src/rtp/index.js';
import { RtpRewriter } from '../../src/server/sfu/rtp-rewriter.js';

/** Rewrites a packet that must have a place. */
function place(rewriter: RtpRewriter, ...packet: Parameters<RtpRewriter['rewrite']>) {
  const position = rewriter.rewrite(...packet);
  if (!position) throw new Error(`packet ${packet[1]} has no place`);
  return position;
}

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
          place(rewriter, 1, (firstSequence + i) & 0xffff, (firstTimestamp + i * packetUnits) >>> 0, i * 20),
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
      const out = arrivals.map((i) => place(rewriter, 1, (firstSequence + i) & 0xffff, i * packetUnits, 0));
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
          rewriter.skip(1, sequenceNumber, 0);
          return previous;
        }
        const { sequenceNumber: out } = place(
          rewriter,
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
  const before = place(rewriter, 1, 100, 5_000, 1_000);
  const after = place(rewriter, 2, 40_000, 77, 1_040);
  expect(sequenceDifference(after.sequenceNumber, before.sequenceNumber)).toBe(1);
  expect(timestampDifference(after.timestamp, before.timestamp)).toBe(40 * 48);
});

test('no number is given to two packets, whatever is left out, inserted, late or repeated', () => {
  const arrival = fc.record({
    act: fc.constantFrom('forward', 'forward', 'leave out', 'insert'),
    lateBy: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 12 })),
  });
  fc.assert(
    fc.property(
      uint16,
      fc.array(arrival, { minLength: 1, maxLength: 300, size: 'max' }),
      (first, arrivals) => {
        const rewriter = new RtpRewriter(clockRate);
        const owners = new Map<number, number | string>();
        const own = (number: number, owner: number | string) =>
          expect(owners.get(number) ?? owner, `the owner of ${number}`).toBe(owner);
        const acts = new Map<number, string>();
        let newest = 0;
        place(rewriter, 1, first, 0, 0);
        for (const [at, { act, lateBy }] of arrivals.entries()) {
          if (act === 'insert') {
            const { sequenceNumber } = rewriter.insert();
            expect(owners.has(sequenceNumber)).toBe(false);
            owners.set(sequenceNumber, `inserted ${at}`);
            continue;
          }
          const index = lateBy > 0 ? newest - lateBy : ++newest;
          if (index <= 0) continue;
          const sequenceNumber = (first + index) & 0xffff;
          // What is to become of a packet does not change with its copies.
          const known = acts.get(index) ?? act;
          acts.set(index, known);
          const position =
            known === 'forward'
              ? rewriter.rewrite(1, sequenceNumber, index * packetUnits, at)
              : rewriter.skip(1, sequenceNumber, index * packetUnits);
          if (!position) continue;
          own(position.sequenceNumber, index);
          owners.set(position.sequenceNumber, index);
        }
      },
    ),
  );
});

test('a late packet gets the number that was left for it, also when others were left out since', () => {
  const rewriter = new RtpRewriter(clockRate);
  const numberOf = (sequenceNumber: number) =>
    place(rewriter, 1, sequenceNumber, 0, 0).sequenceNumber - first;
  const first = place(rewriter, 1, 100, 0, 0).sequenceNumber;
  expect(numberOf(102)).toBe(2);
  for (const sequenceNumber of [103, 104, 105]) rewriter.skip(1, sequenceNumber, 0);
  expect(numberOf(106)).toBe(3);
  expect(numberOf(101)).toBe(1);
  expect(rewriter.rewrite(1, 104, 0, 0)).toBe(undefined);
  expect(rewriter.skip(1, 104, 0)).toBe(undefined);
  // One that never came, and that is not wanted when it comes: its number has to be filled.
  expect(numberOf(108)).toBe(5);
  expect(rewriter.skip(1, 107, 7)?.sequenceNumber).toBe(first + 4);
});

test('a source that goes on for longer than its numbers last stays one stream', () => {
  const rewriter = new RtpRewriter(clockRate);
  let last = place(rewriter, 1, 0, 0, 0).sequenceNumber;
  for (let i = 1; i < 200_000; i++) {
    const { sequenceNumber } = place(rewriter, 1, i & 0xffff, 0, 0);
    if (sequenceDifference(sequenceNumber, last) !== 1) throw new Error(`a gap before packet ${i}`);
    last = sequenceNumber;
  }
});
