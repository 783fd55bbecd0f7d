import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Heartbeat } from '../../src/room/media/heartbeat.js';

/** Samples every 250 ms; the count grows at the times given. Returns when it says that there is silence. */
function silences(beatsMs: readonly number[], untilMs: number): number[] {
  const heartbeat = new Heartbeat();
  const told: number[] = [];
  for (let nowMs = 0; nowMs <= untilMs; nowMs += 250) {
    if (heartbeat.sample(beatsMs.filter((beat) => beat <= nowMs).length, nowMs)) told.push(nowMs);
  }
  return told;
}

const every = (gapMs: number, count: number) =>
  Array.from({ length: count }, (_, index) => (index + 1) * gapMs);

test('silence after a steady beat is told once, after three seconds', () => {
  expect(silences(every(1_000, 10), 60_000)).toEqual([13_000]);
});

test('it is told again once the beat was steady again', () => {
  const beats = [...every(1_000, 10), ...every(1_000, 10).map((ms) => ms + 20_000)];
  const [first, second, ...more] = silences(beats, 120_000);
  expect(first).toBe(13_000);
  expect(second).toBeGreaterThanOrEqual(33_000);
  expect(more).toEqual([]);
});

test('a beat that was never steady says nothing', () => {
  expect(silences([1_000], 60_000)).toEqual([]);
});

test('on a network that loses packets it waits longer', () => {
  expect(silences([...every(1_000, 5), 8_000, 9_000, 10_000], 60_000)).toEqual([19_000]);
});

test('while a beat goes on, no gap of less than three times the longest of late is silence', () => {
  const gaps = fc.array(fc.integer({ min: 500, max: 1_400 }), { minLength: 5, maxLength: 40 });
  fc.assert(
    fc.property(gaps, (gapsMs) => {
      let nowMs = 0;
      const beats = gapsMs.map((gap) => {
        nowMs += gap;
        return nowMs;
      });
      expect(silences(beats, nowMs)).toEqual([]);
    }),
  );
});
