import { expect, test } from 'vitest';
import { fuzz } from '../support/filter-fuzz.mjs';
import { describeWith } from '../support/parts.js';
import { plugin } from './harness.js';

describeWith(['cc'], 'filters that misbehave at random', () => {
  test('lose no frame of any call', async () => {
    const { faulty } = await fuzz({ runs: 24, atOnce: 4, plugins: [plugin(), plugin('WITH_V2')] });
    expect(faulty).toEqual([]);
  }, 120_000);
});
