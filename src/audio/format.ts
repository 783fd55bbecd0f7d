import { OffhookError } from '../errors/index.js';
import { limits } from '../limits.js';

/**
 * Checks a format that a program asks for.
 *
 * @param what names it in the error
 * @throws OffhookError `OFFHOOK_INVALID_REQUEST`
 */
export function checkFormat(
  what: string,
  { sampleRate, numChannels }: { sampleRate: number; numChannels: number },
): void {
  checkNumber(what, 'sample rate', sampleRate, [limits.minSampleRate.value, limits.maxSampleRate.value]);
  checkNumber(what, 'number of channels', numChannels, [1, limits.channels.value]);
}

/**
 * Checks that a number that a program gives is whole and within its limits.
 *
 * @throws OffhookError `OFFHOOK_INVALID_REQUEST`
 */
export function checkNumber(
  what: string,
  name: string,
  value: number,
  [from, to]: readonly [number, number],
): void {
  if (Number.isInteger(value) && value >= from && value <= to) return;
  throw new OffhookError('OFFHOOK_INVALID_REQUEST', `${what}: ${String(value)} is not a valid ${name}`, {
    advice: `Give a whole number from ${from} to ${to}.`,
  });
}
