import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Consent } from '../../../src/transport/ice/consent.js';
import { seededRandom } from '../../audio/seeded-random.js';

interface Way {
  rttMs: number;
  /** Whether a check and its answer get through. */
  passes: (nowMs: number) => boolean;
  /** When the thread stands still: nothing is sent, and what has come is taken afterwards. */
  stands?: (nowMs: number) => boolean;
}

/** Runs consent over a way; returns when it fell silent. */
function silences({ rttMs, passes, stands = () => false }: Way, untilMs: number): number[] {
  const consent = new Consent(0);
  const found: number[] = [];
  const answersAtMs: number[] = [];
  for (let nowMs = 0; nowMs <= untilMs; nowMs += 5) {
    if (stands(nowMs)) continue;
    // Timers come before sockets, as in an event loop.
    if (consent.fellSilent(nowMs, rttMs)) found.push(nowMs);
    if (nowMs >= consent.nextCheckMs(rttMs)) {
      consent.checked(nowMs);
      if (passes(nowMs)) answersAtMs.push(nowMs + rttMs);
    }
    while (answersAtMs[0] !== undefined && answersAtMs[0] <= nowMs) {
      answersAtMs.shift();
      consent.answered(nowMs);
    }
  }
  return found;
}

describe('Consent', () => {
  test('a way that is cut is noticed within 1.5 s and two round trips, once', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2_000, max: 10_000 }),
        fc.integer({ min: 0, max: 700 }),
        (cutMs, rttMs) => {
          const found = silences({ rttMs, passes: (nowMs) => nowMs < cutMs }, 20_000);
          expect(found).toHaveLength(1);
          expect(found[0]! - cutMs).toBeGreaterThan(900);
          expect(found[0]! - cutMs).toBeLessThanOrEqual(1_600 + 3 * rttMs);
        },
      ),
    );
  });

  test('30 % loss each way for ten minutes is no silence', () => {
    for (const seed of [1, 2, 3]) {
      const random = seededRandom(seed);
      const passes = () => random() >= 0.3 && random() >= 0.3;
      expect(silences({ rttMs: 20, passes }, 600_000)).toEqual([]);
    }
  });

  test('a server that stands still for a second is not silent', () => {
    const passes = (nowMs: number) => nowMs % 10_000 < 9_000;
    expect(silences({ rttMs: 5, passes }, 60_000)).toEqual([]);
  });

  test('a thread that stood still itself does not blame the way', () => {
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 60_000 }), (standsMs) => {
        const stands = (nowMs: number) => nowMs > 3_000 && nowMs < 3_000 + standsMs;
        expect(silences({ rttMs: 20, passes: () => true, stands }, 70_000)).toEqual([]);
      }),
    );
  });
});
