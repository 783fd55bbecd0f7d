import { describe, expect, it } from 'vitest';
import { RetryPace } from '../../src/room/connection/retry-pace.js';

function waits(pace: RetryPace, count: number): number[] {
  return Array.from({ length: count }, () => pace.next().waitMs);
}

describe('the pace of retries', () => {
  it('begins at once and doubles the longest wait up to its limit', () => {
    const pace = new RetryPace(() => 1);
    expect(waits(pace, 8)).toEqual([0, 150, 300, 600, 1_200, 2_400, 3_000, 3_000]);
    pace.begin();
    expect(waits(pace, 2)).toEqual([0, 150]);
  });

  it('draws each wait between nothing and the longest', () => {
    const draws = [0.9, 0, 0.5];
    expect(waits(new RetryPace(() => draws.shift() ?? 0), 3)).toEqual([0, 0, 150]);
  });

  it('begins at once with another aim, and counts on', () => {
    const pace = new RetryPace(() => 1);
    waits(pace, 5);
    pace.resetTarget();
    expect(waits(pace, 3)).toEqual([0, 150, 300]);
    expect(pace.attempts).toBe(8);
  });

  it('asks anew soon at first, and becomes patient', () => {
    const pace = new RetryPace(() => 0);
    const retries = Array.from({ length: 6 }, () => pace.next());
    expect(retries.map(({ answerMs }) => answerMs)).toEqual([
      1_000,
      1_000,
      1_000,
      1_000,
      undefined,
      undefined,
    ]);
    expect(retries.map(({ limitMs }) => limitMs)).toEqual([2_000, 2_500, 3_000, 3_500, 4_000, 4_500]);
  });
});
