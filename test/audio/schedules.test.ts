import { describe, expect, test } from 'vitest';
import { dominantFrequencyHz, findGaps, levelDbfs } from '../support/tone.js';
import {
  type ArrivalSchedule,
  drift,
  lan,
  lossy,
  recorded,
  reordered,
  spike,
  wifi,
} from './arrival-schedules.js';
import { playSchedule } from './play-schedule.js';

interface Bounds {
  schedule: ArrivalSchedule;
  protection?: 'RED';
  maxMeanDelayMs: number;
  maxConcealedShare: number;
}

const seconds = (count: number) => count * 50;

/** RED with one copy makes good the last packet of each burst of losses: half of them, as bursts are two packets long. */
const cases: Bounds[] = [
  { schedule: lan(seconds(30)), maxMeanDelayMs: 20, maxConcealedShare: 0 },
  { schedule: wifi(seconds(30)), maxMeanDelayMs: 60, maxConcealedShare: 0.015 },
  { schedule: lossy(seconds(30), 0.1), maxMeanDelayMs: 20, maxConcealedShare: 0.105 },
  { schedule: lossy(seconds(30), 0.1), protection: 'RED', maxMeanDelayMs: 40, maxConcealedShare: 0.05 },
  { schedule: lossy(seconds(30), 0.3), maxMeanDelayMs: 20, maxConcealedShare: 0.305 },
  { schedule: lossy(seconds(30), 0.3), protection: 'RED', maxMeanDelayMs: 40, maxConcealedShare: 0.15 },
  { schedule: spike(seconds(30)), maxMeanDelayMs: 30, maxConcealedShare: 0.007 },
  { schedule: drift(seconds(60), 300), maxMeanDelayMs: 35, maxConcealedShare: 0.0005 },
  { schedule: drift(seconds(60), -300), maxMeanDelayMs: 25, maxConcealedShare: 0.0005 },
  { schedule: reordered(seconds(30)), maxMeanDelayMs: 25, maxConcealedShare: 0 },
  { schedule: recorded('busy-loopback.txt'), maxMeanDelayMs: 55, maxConcealedShare: 0.012 },
];

describe('the jitter buffer, on a schedule of arrivals', () => {
  const named = cases.map((bounds) => ({
    name: [bounds.schedule.name, ...(bounds.protection ? [`with ${bounds.protection}`] : [])].join(', '),
    ...bounds,
  }));
  test.each(named)('$name', ({ name, schedule, protection, maxMeanDelayMs, maxConcealedShare }) => {
    const { stats, meanDelayMs, concealedShare } = playSchedule(schedule, { red: protection === 'RED' });
    const lost = schedule.arrivalsMs.filter((ms) => ms === undefined).length;
    console.log(
      `${name}: ${lost} of ${schedule.arrivalsMs.length} packets lost, ` +
        `delay added ${meanDelayMs.toFixed(1)} ms, concealed ${(100 * concealedShare).toFixed(2)} % ` +
        `in ${stats.concealmentEvents} places`,
    );
    expect(meanDelayMs).toBeLessThanOrEqual(maxMeanDelayMs);
    expect(concealedShare).toBeLessThanOrEqual(maxConcealedShare);
    expect(stats.resets).toBe(0);
  });

  test('a tone comes through a quiet network whole, with its frequency and level', () => {
    const { samples } = playSchedule(lan(seconds(4)));
    const steady = { samples: samples.subarray(24_000, 168_000), sampleRate: 48_000 };
    expect(dominantFrequencyHz(steady)).toBe(440);
    expect(levelDbfs(steady.samples)).toBeCloseTo(-15, 0);
    expect(findGaps({ samples, sampleRate: 48_000 })).toEqual([]);
  });

  test('a tone goes on through single losses', () => {
    const { arrivalsMs } = lan(seconds(4));
    const schedule = { name: '', arrivalsMs: arrivalsMs.map((ms, i) => (i % 20 === 19 ? undefined : ms)) };
    const { samples, stats } = playSchedule(schedule);
    expect(stats.samplesConcealed).toBe(9 * 960);
    expect(findGaps({ samples, sampleRate: 48_000 })).toEqual([]);
    expect(dominantFrequencyHz({ samples: samples.subarray(24_000), sampleRate: 48_000 })).toBe(440);
  });

  test('a single loss that RED covers is not concealed at all', () => {
    const { arrivalsMs } = wifi(seconds(10));
    const schedule = { name: '', arrivalsMs: arrivalsMs.map((ms, i) => (i % 20 === 19 ? undefined : ms)) };
    const plain = playSchedule(schedule);
    const covered = playSchedule(schedule, { red: true });
    expect(covered.stats.recovered).toBeGreaterThan(15);
    expect(covered.stats.samplesConcealed).toBeLessThan(plain.stats.samplesConcealed / 3);
  });

  test('after a spike the delay comes back to what it was', () => {
    const { stats } = playSchedule(spike(seconds(30)));
    expect(stats.bufferedMs).toBeLessThanOrEqual(40);
    expect(stats.samplesRemoved).toBeGreaterThan(0);
  });
});
