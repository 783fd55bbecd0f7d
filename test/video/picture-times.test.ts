import { expect, test } from 'vitest';
import { FrameRate } from '../../src/video/frame-rate.js';
import { PictureTimes } from '../../src/video/picture-times.js';

test('a frame rate is that of the last second, and of nothing after a pause', () => {
  const rate = new FrameRate();
  expect(rate.perSecond(0)).toBe(0);
  for (let ms = 0; ms <= 3_000; ms += 40) rate.count(ms);
  expect(rate.perSecond(3_010)).toBeCloseTo(25, 5);
  for (let ms = 3_100; ms <= 6_000; ms += 100) rate.count(ms);
  expect(rate.perSecond(6_010)).toBeCloseTo(10, 5);
  expect(rate.perSecond(60_000)).toBeLessThan(1);
});

test('the times of pictures are added up; a gap among them is a freeze, except after a restart', () => {
  const times = new PictureTimes();
  const show = (atMs: number) => {
    times.handedOver(atMs - 30, atMs - 10);
    times.decoded(atMs - 30, atMs - 10, atMs);
  };
  for (let ms = 0; ms <= 1_000; ms += 50) show(ms);
  show(1_600);
  const stats = times.stats(1_600);
  expect(stats).toMatchObject({
    framesEmitted: 22,
    totalBufferMs: 440,
    totalDecodeMs: 220,
    totalProcessingMs: 660,
  });
  expect(stats).toMatchObject({ totalInterFrameMs: 1_600, freezeCount: 1, totalFreezeMs: 600 });
  expect(stats.totalSquaredInterFrameS2).toBeCloseTo(20 * 0.05 ** 2 + 0.6 ** 2, 9);
  times.restart();
  show(9_000);
  expect(times.stats(9_000)).toMatchObject({ totalInterFrameMs: 1_600, freezeCount: 1 });
});
