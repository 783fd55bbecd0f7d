import { expect, test } from 'vitest';
import { until, within } from './until.js';

test('waiting resolves with what is there, at once or later', async () => {
  let value: number | undefined;
  setTimeout(() => {
    value = 7;
  }, 10);
  expect(await until('number', () => value)).toBe(7);
  expect(await until('number', () => value)).toBe(7);
  expect(await within('answer', Promise.resolve('yes'))).toBe('yes');
});

test('waiting fails with what was missing, and with what there was instead', async () => {
  const seen = () => ['connected', 'reconnecting'];
  await expect(until('event disconnected', () => undefined, { timeoutMs: 20, seen })).rejects.toThrow(
    'no event disconnected within 20 ms; there was: ["connected","reconnecting"]',
  );
  const never = new Promise(() => {});
  await expect(within('answer', never, { timeoutMs: 20, seen: () => [] })).rejects.toThrow(
    'no answer within 20 ms; there was: nothing',
  );
});
