import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Resampler, type ResamplerQuality } from '../../src/audio/index.js';
import { OffhookError } from '../../src/errors/index.js';
import { dominantFrequencyHz, goertzelPower, levelDbfs } from '../support/tone.js';

const rates = [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000];

function sine(hz: number, sampleRate: number, frames: number, amplitude = 16_000): Int16Array {
  return Int16Array.from({ length: frames }, (_, i) =>
    Math.round(amplitude * Math.sin((2 * Math.PI * hz * i) / sampleRate)),
  );
}

function convert(samples: Int16Array, inputRate: number, outputRate: number, quality?: ResamplerQuality) {
  const resampler = Resampler.create({ inputRate, outputRate, numChannels: 1, quality });
  return Int16Array.from([...resampler.push(samples), ...resampler.flush()]);
}

describe('Resampler', () => {
  const pairs = rates.flatMap((from) => rates.filter((to) => to !== from).map((to) => [from, to] as const));

  test.each(pairs)('a tone keeps its frequency and level from %i to %i Hz', (from, to) => {
    const converted = convert(sine(1_000, from, from / 2), from, to);
    const steady = { samples: converted.subarray(to / 10, (to * 4) / 10), sampleRate: to };
    expect(dominantFrequencyHz(steady, { fromHz: 900, toHz: 1_100 })).toBe(1_000);
    expect(levelDbfs(steady.samples)).toBeCloseTo(levelDbfs(sine(1_000, from, from)), 1);
  });

  test.each([
    ['quick', 48_000, 16_000, 12_000, -40],
    ['medium', 48_000, 16_000, 9_500, -60],
    ['high', 48_000, 16_000, 9_000, -80],
    ['medium', 48_000, 8_000, 5_000, -60],
    ['medium', 44_100, 16_000, 10_000, -60],
  ] as const)(
    '%s from %i to %i Hz: a tone of %i Hz, which would alias, is below %i dB',
    (quality, from, to, hz, db) => {
      const input = sine(hz, from, from / 2);
      const converted = convert(input, from, to, quality);
      const steady = converted.subarray(to / 10, (to * 4) / 10);
      expect(levelDbfs(steady) - levelDbfs(input)).toBeLessThan(db);
    },
  );

  test('upsampling makes no image of the tone', () => {
    const sampleRate = 48_000;
    const converted = convert(sine(3_000, 8_000, 4_000), 8_000, sampleRate);
    const steady = { samples: converted.subarray(4_800, 19_200), sampleRate };
    const imageDb = 10 * Math.log10(goertzelPower(steady, 5_000) / goertzelPower(steady, 3_000));
    expect(imageDb).toBeLessThan(-60);
  });

  test('speech up to 3.4 kHz passes through 8 kHz with less than 1 dB lost', () => {
    const input = sine(3_400, 48_000, 24_000);
    const converted = convert(input, 48_000, 8_000);
    expect(levelDbfs(converted.subarray(800, 3_200)) - levelDbfs(input)).toBeGreaterThan(-1);
  });

  test('the output is in phase with the input', () => {
    for (const [from, to] of [
      [48_000, 16_000],
      [16_000, 48_000],
      [44_100, 48_000],
    ] as const) {
      const converted = convert(sine(440, from, from / 4), from, to);
      const expected = sine(440, to, to / 4);
      for (let i = to / 10; i < to / 5; i++) expect(Math.abs(converted[i]! - expected[i]!)).toBeLessThan(60);
    }
  });

  test('n samples make ceil(n * to / from), however they are cut', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...rates),
        fc.constantFrom(...rates),
        fc.array(fc.integer({ min: 0, max: 700 }), { maxLength: 8 }),
        fc.constantFrom(1, 2),
        (inputRate, outputRate, lengths, numChannels) => {
          const resampler = Resampler.create({ inputRate, outputRate, numChannels });
          const total = lengths.reduce((sum, length) => sum + length, 0);
          let out = 0;
          for (const length of lengths) out += resampler.push(new Int16Array(length * numChannels)).length;
          out += resampler.flush().length;
          expect(out).toBe(Math.ceil((total * outputRate) / inputRate) * numChannels);
        },
      ),
    );
  });

  test('the way the input is cut changes no sample', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...rates),
        fc.array(fc.integer({ min: 1, max: 300 })),
        (outputRate, lengths) => {
          const total = lengths.reduce((sum, length) => sum + length, 0);
          const input = sine(700, 32_000, total);
          const options = { inputRate: 32_000, outputRate, numChannels: 1 };
          const whole = Resampler.create(options);
          const cut = Resampler.create(options);
          const expected = [...whole.push(input), ...whole.flush()];
          const pieces: number[] = [];
          let at = 0;
          for (const length of lengths) {
            pieces.push(...cut.push(input.subarray(at, at + length)));
            at += length;
          }
          expect([...pieces, ...cut.flush()]).toEqual(expected);
        },
      ),
    );
  });

  test('primed, every 10 ms in give 10 ms out, from the first on', () => {
    for (const [inputRate, outputRate] of pairs) {
      if (inputRate % 100 || outputRate % 100) continue;
      const resampler = Resampler.create({ inputRate, outputRate, numChannels: 1, primed: true });
      for (let i = 0; i < 20; i++) {
        const out = resampler.push(new Int16Array(inputRate / 100));
        expect(out).toHaveLength(outputRate / 100);
      }
    }
  });

  test('channels stay apart', () => {
    const resampler = Resampler.create({ inputRate: 48_000, outputRate: 24_000, numChannels: 2 });
    const left = sine(440, 48_000, 4_800);
    const stereo = Int16Array.from({ length: 9_600 }, (_, i) => (i % 2 === 0 ? left[i >> 1]! : 0));
    const out = resampler.push(stereo);
    expect(levelDbfs(out.filter((_, i) => i % 2 === 1))).toBe(Number.NEGATIVE_INFINITY);
    expect(levelDbfs(out.filter((_, i) => i % 2 === 0))).toBeCloseTo(levelDbfs(left), 0);
  });

  test('full scale is limited, not wrapped', () => {
    const square = Int16Array.from({ length: 4_800 }, (_, i) => (i % 100 < 50 ? 32_767 : -32_768));
    const out = convert(square, 48_000, 16_000);
    expect(Math.min(...out)).toBeGreaterThanOrEqual(-32_768);
    expect(levelDbfs(out.subarray(200, 1_400))).toBeGreaterThan(-1);
  });

  test.each([
    { inputRate: 0, outputRate: 48_000, numChannels: 1 },
    { inputRate: 48_000, outputRate: 44_100.5, numChannels: 1 },
    { inputRate: 48_000, outputRate: 16_000, numChannels: 0 },
  ])('refuses $inputRate to $outputRate Hz with $numChannels channels', (options) => {
    expect(() => Resampler.create(options)).toThrow(OffhookError);
  });
});
