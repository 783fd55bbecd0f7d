import { describe, expect, test } from 'vitest';
import { AudioSource, AudioStream, Resampler } from '../../src/audio/index.js';
import { polyphaseFilter } from '../../src/audio/resampler-filter.js';
import { limits } from '../../src/limits.js';

const good = { sampleRate: 48_000, numChannels: 1 };
const openStream = (options: object) =>
  new AudioStream(
    { ...good, onFrame() {}, onEnd() {}, ...options },
    () => 0,
    () => {},
  );
const openSource = (options: object) => new AudioSource({ ...good, queueSizeMs: 100, ...options }).close();
const createResampler = (options: object) =>
  Resampler.create({ inputRate: 48_000, outputRate: 16_000, numChannels: 1, ...options });

const badFormats = [
  { sampleRate: 0 },
  { sampleRate: -48_000 },
  { sampleRate: 44_100.5 },
  { sampleRate: Number.NaN },
  { sampleRate: 4_294_967_295 },
  { numChannels: 0 },
  { numChannels: 300 },
];

describe('numbers that are out of limits', () => {
  test.each([...badFormats, { frameSizeMs: 3_600_000 }, { frameSizeMs: 0.5 }, { queueSizeFrames: -1 }])(
    'are refused by an audio stream: %o',
    (options) => {
      expect(() => openStream(options)).toThrow(/audio stream: .* is not a valid/);
    },
  );

  test.each([...badFormats, { queueSizeMs: -1 }, { queueSizeMs: 4_294_967_295 }])(
    'are refused by an audio source: %o',
    (options) => {
      expect(() => openSource(options)).toThrow(/audio source: .* is not a valid/);
    },
  );

  test.each([{ inputRate: 0 }, { outputRate: 4_294_967_295 }, { numChannels: 65_535 }])(
    'are refused by a resampler: %o',
    (options) => {
      expect(() => createResampler(options)).toThrow(/resampler: .* is not a valid/);
    },
  );
});

describe('rates that have little in common', () => {
  test('cost a filter of limited size', () => {
    const { phases, half } = polyphaseFilter(8_001, 383_999, 'veryHigh');
    expect(phases * 2 * half).toBeLessThanOrEqual(limits.resamplerCoefficients.value);
  });
});
