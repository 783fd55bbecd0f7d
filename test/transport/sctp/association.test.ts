import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { connectedPair, createPair } from './association-pair.js';

const reliable = { ordered: true };

describe('an SCTP association comes up', () => {
  test('when both ends start at once', () => {
    const { link, one, other } = createPair();
    one.association.start(link.nowMs);
    other.association.start(link.nowMs);
    link.run(1000);
    expect(one.association.state).toBe('established');
    expect(other.association.state).toBe('established');
    expect(one.connectedAtMs).toBe(1015);
  });

  test('when one end starts, and the other does later or not at all', () => {
    for (const laterMs of [3, 7, 12, 17, 100, undefined]) {
      const { link, one, other } = createPair();
      one.association.start(link.nowMs);
      if (laterMs !== undefined) {
        link.run(laterMs);
        other.association.start(link.nowMs);
      }
      link.run(1000);
      expect([one.association.state, other.association.state], `${laterMs} ms later`).toEqual([
        'established',
        'established',
      ]);
    }
  });

  test('through loss, duplicates and reordering', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(30), fc.boolean(), (seed, startGapMs, bothStart) => {
        const { link, one, other } = createPair({ seed, lossRate: 0.3, duplicateRate: 0.2, jitterMs: 40 });
        one.association.start(link.nowMs);
        link.run(startGapMs);
        if (bothStart) other.association.start(link.nowMs);
        one.association.send(0, 53, Buffer.from('first'), reliable, link.nowMs);
        link.runUntil(() => other.received.length === 1, 40_000);
        expect(one.association.state).toBe('established');
        expect(other.association.state).toBe('established');
      }),
      { numRuns: 200 },
    );
  });
});

describe('messages', () => {
  test('arrive whole and in order, both ways, through loss, duplicates and reordering', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.array(fc.tuple(fc.nat(3), fc.integer({ min: 1, max: 30_000 }), fc.boolean()), {
          minLength: 1,
          maxLength: 60,
        }),
        fc.double({ min: 0, max: 0.3, noNaN: true }),
        (seed, messages, lossRate) => {
          const { link, one, other } = connectedPair({ seed, lossRate, duplicateRate: 0.1, jitterMs: 20 });
          const sent = messages.map(([streamId, length, fromOne], i) => {
            const bytes = randomBytes(length);
            (fromOne ? one : other).association.send(streamId, i, bytes, reliable, link.nowMs);
            return { streamId, ppid: i, bytes, fromOne };
          });
          const expectedAtOther = sent.filter(({ fromOne }) => fromOne);
          const expectedAtOne = sent.filter(({ fromOne }) => !fromOne);
          link.runUntil(
            () =>
              other.received.length === expectedAtOther.length &&
              one.received.length === expectedAtOne.length,
            300_000,
          );
          for (const [end, expected] of [
            [other, expectedAtOther],
            [one, expectedAtOne],
          ] as const)
            for (let streamId = 0; streamId <= 3; streamId++) {
              const received = end.received.filter((message) => message.streamId === streamId);
              const wanted = expected.filter((message) => message.streamId === streamId);
              expect(received.map(({ ppid }) => ppid)).toEqual(wanted.map(({ ppid }) => ppid));
              for (const [i, { bytes }] of received.entries())
                expect(bytes.equals(wanted[i]!.bytes)).toBe(true);
            }
          link.options = {};
          link.run(5000);
          expect(one.association.heldBytes + other.association.heldBytes).toBe(0);
          expect(one.association.nextTimeoutMs).toBeUndefined();
        },
      ),
      { numRuns: 60 },
    );
  });
});
