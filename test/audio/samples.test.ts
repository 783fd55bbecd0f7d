import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { audioLevelDbov, decodeAudioLevel, encodeAudioLevel } from '../../src/audio/audio-level.js';
import { remix } from '../../src/audio/remix.js';
import { stretch } from '../../src/audio/time-stretch.js';
import { Unwrapper } from '../../src/rtp/unwrap.js';
import { dominantFrequencyHz, findGaps, makeTone } from '../support/tone.js';

const samples = fc.int16Array({ maxLength: 96 });

describe('remix', () => {
  test('mono goes to every channel and comes back unchanged', () => {
    fc.assert(
      fc.property(samples, fc.integer({ min: 1, max: 8 }), (mono, channels) => {
        expect(remix(remix(mono, 1, channels), channels, 1)).toEqual(mono);
      }),
    );
  });

  test('several channels are averaged to mono', () => {
    expect([...remix(Int16Array.of(100, 300, -32_768, -32_768), 2, 1)]).toEqual([200, -32_768]);
  });

  test('channels beyond those there are repeat the last one', () => {
    expect([...remix(Int16Array.of(1, 2), 2, 4)]).toEqual([1, 2, 2, 2]);
    expect([...remix(Int16Array.of(1, 2, 3, 4), 4, 2)]).toEqual([1, 2]);
  });
});

describe('audio level', () => {
  test('a sine at -20 dBFS is said to be 20 below the overload point, and read back', () => {
    const level = audioLevelDbov(makeTone(1_000, 100, 48_000, -20).samples);
    expect(level).toBeCloseTo(-20, 1);
    expect(decodeAudioLevel(Uint8Array.of(encodeAudioLevel(level, true)))).toEqual({
      dbov: -20,
      voice: true,
    });
  });

  test('silence is -127, full scale is 0, and an empty extension is nothing', () => {
    expect(audioLevelDbov(new Int16Array(10))).toBe(-127);
    expect(audioLevelDbov(new Int16Array(10).fill(-32_768))).toBe(0);
    expect(decodeAudioLevel(new Uint8Array())).toBeUndefined();
  });
});

describe('time stretching', () => {
  test('shortens and lengthens a tone by a period, unheard', () => {
    const tone = makeTone(220, 20, 48_000, -12).samples;
    const shorter = stretch(tone, 48_000, 1, 50);
    const longer = stretch(tone, 48_000, 1, -50);
    expect(shorter.length).toBeLessThan(tone.length);
    expect(longer.length).toBeGreaterThan(tone.length);
    for (const changed of [shorter, longer]) {
      const joined = Int16Array.from([...changed, ...changed, ...changed]);
      expect(findGaps({ samples: joined, sampleRate: 48_000 })).toEqual([]);
      expect(dominantFrequencyHz({ samples: changed, sampleRate: 48_000 }, { stepHz: 20 })).toBeCloseTo(
        220,
        -2,
      );
    }
  });

  test('leaves alone what does not repeat itself, unless it is urgent', () => {
    let state = 1;
    const noise = Int16Array.from({ length: 960 }, () => {
      state = (state * 16_807) % 2_147_483_647;
      return (state % 20_000) - 10_000;
    });
    expect(stretch(noise, 48_000, 1, 20)).toBe(noise);
  });

  test('any samples, rates and channels: whole frames come out, half to one and a half times as many', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(8_000, 16_000, 48_000),
        fc.constantFrom(1, 2),
        fc.integer({ min: -200, max: 200 }),
        fc.infiniteStream(fc.integer({ min: -32_768, max: 32_767 })),
        (rate, channels, excessMs, values) => {
          const input = Int16Array.from({ length: (rate / 50) * channels }, () => values.next().value);
          const output = stretch(input, rate, channels, excessMs);
          expect(output.length % channels).toBe(0);
          expect(output.length).toBeGreaterThanOrEqual(input.length / 2);
          expect(output.length).toBeLessThanOrEqual(input.length * 1.5);
        },
      ),
      { numRuns: 30 },
    );
  });
});

describe('Unwrapper', () => {
  test.each([16, 32] as const)('a counter of %i bits goes on over its wrap, forwards and back', (bits) => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2 ** bits - 1 }),
        fc.array(fc.integer({ min: -1_000, max: 30_000 }), { minLength: 1, maxLength: 20 }),
        (first, steps) => {
          const unwrapper = new Unwrapper(bits);
          let expected = unwrapper.unwrap(first);
          for (const step of steps) {
            expected += step;
            const wrapped = ((expected % 2 ** bits) + 2 ** bits) % 2 ** bits;
            expect(unwrapper.peek(wrapped)).toBe(expected);
            expect(unwrapper.unwrap(wrapped)).toBe(expected);
          }
        },
      ),
    );
  });
});
