import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RestartPolicy } from '../../src/filters/filter-module.js';
import { hostEnvironment } from '../../src/filters/host-environment.js';
import { LatencyHistogram } from '../../src/filters/latency-histogram.js';
import { MissWindow } from '../../src/filters/miss-window.js';
import { StreamSlots } from '../../src/filters/stream-slots.js';

test('the times of frames are known within 10 %', () => {
  const durationMs = fc.double({ min: 0.01, max: 5_000, noNaN: true });
  fc.assert(
    fc.property(fc.array(durationMs, { minLength: 1 }), fc.constantFrom(0.5, 0.99), (durations, fraction) => {
      const histogram = new LatencyHistogram();
      for (const each of durations) histogram.add(each);
      const sorted = [...durations].sort((a, b) => a - b);
      const exact = sorted[Math.ceil(sorted.length * fraction) - 1]!;
      const known = histogram.percentile(fraction)!;
      expect(known).toBeGreaterThanOrEqual(exact * 0.999);
      expect(known).toBeLessThanOrEqual(exact * 1.101);
    }),
  );
  expect(new LatencyHistogram().percentile(0.5)).toBeUndefined();
});

describe('a filter that misses frames', () => {
  test('is given up when half of the last hundred were missed, and not before', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 300 }), (outcomes) => {
        const window = new MissWindow();
        outcomes.forEach((missed, i) => {
          const last = outcomes.slice(Math.max(0, i - 99), i + 1);
          expect(window.add(missed ? 'late' : 'processed')).toBe(last.filter(Boolean).length >= 50);
        });
      }),
    );
  });
});

describe('a host that ends', () => {
  test('is started again three times, after longer and longer', () => {
    const policy = new RestartPolicy();
    expect([0, 300, 1_500, 6_000].map((nowMs) => policy.next(nowMs))).toEqual([250, 1_000, 4_000, undefined]);
  });

  test('is given a fresh start when it lived for ten minutes', () => {
    const policy = new RestartPolicy();
    for (let i = 0; i < 4; i++) policy.next(0);
    expect(policy.next(10 * 60_000 + 1)).toBe(250);
  });
});

test('the environment of a plugin holds what it needs, what is meant for it, and nothing else', () => {
  const environment = hostEnvironment({
    PATH: '/bin',
    https_proxy: 'http://127.0.0.1:3128',
    LIVEKIT_API_SECRET: 'secret',
    NODE_OPTIONS: '--import offhook/register',
    OFFHOOK_PLUGIN_MODE: 'fast',
    LICENCE: 'a',
    OTHER: 'b',
    OFFHOOK_FILTER_ENV: 'LICENCE, MISSING',
  });
  expect(environment).toEqual({
    PATH: '/bin',
    https_proxy: 'http://127.0.0.1:3128',
    OFFHOOK_PLUGIN_MODE: 'fast',
    LICENCE: 'a',
  });
});

test('a stream’s number is not given again soon, so that what is late for it finds nobody', () => {
  const slots = new StreamSlots<string>();
  const first = slots.take('a')!;
  slots.free(first);
  const others = Array.from({ length: 1_023 }, (_, i) => slots.take(`b${i}`));
  expect(others).not.toContain(first);
  expect(slots.take('c')).toBe(first);
  expect(slots.take('d')).toBeUndefined();
  expect([slots.find('c'), slots.get(first)]).toEqual([first, 'c']);
});
