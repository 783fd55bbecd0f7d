import { describe, expect, test } from 'vitest';
import { DryMix } from '../../src/filters/dry-mix.js';
import { noiseOf } from './levels.js';

const frameSamples = 480;
const power = (samples: Float32Array) => samples.reduce((sum, x) => sum + x * x, 0) / samples.length;

const amplitude = 8_000;
const tone = (frame: number, gain: number) =>
  Float32Array.from(
    { length: frameSamples },
    (_, i) => gain * amplitude * Math.sin((2 * Math.PI * 1_000 * (frame * frameSamples + i)) / 48_000),
  );
/** Words of 300 ms and pauses of 200 ms. */
const isWord = (frame: number) => frame >= 0 && frame % 50 < 30;

/** Levels of what is heard, words as a share of those that went in. What RNNoise makes of a word is 90 % of it here. */
function heardIn(noise: number) {
  const mix = new DryMix();
  const next = noiseOf(frameSamples);
  const heard = { words: [] as number[], pauses: [] as number[] };
  for (let frame = 0; frame < 600; frame++) {
    const word = tone(frame, isWord(frame) ? 1 : 0);
    mix.take(Float32Array.from(next(), (value, i) => (value / 6_000) * noise + word[i]!));
    const output = tone(frame - 2, isWord(frame - 2) ? 0.9 : 0);
    mix.mix(output, isWord(frame) ? 0.9 : 0.05);
    // The first seconds tell what is noise; what is mixed takes some frames to change.
    if (frame < 200) continue;
    const place = frame % 50;
    if (place > 20 && place < 30) heard.words.push(power(output));
    if (place > 40) heard.pauses.push(power(output));
  }
  const level = (powers: number[]) =>
    Math.sqrt(powers.reduce((sum, value) => sum + value, 0) / powers.length) / (amplitude / Math.SQRT2);
  return { words: level(heard.words), pauses: level(heard.pauses) };
}

describe('what went in is mixed with what RNNoise makes of it', () => {
  test('where noise is faint, and then only in speech', () => {
    const { words, pauses } = heardIn(20);
    expect(words).toBeGreaterThan(0.98);
    expect(pauses).toBe(0);
  });

  test('never where noise is loud', () => {
    const { words, pauses } = heardIn(6_000);
    expect(words).toBeCloseTo(0.9, 5);
    expect(pauses).toBe(0);
  });

  test('not before the noise is known', () => {
    const mix = new DryMix();
    for (let frame = 0; frame < 99; frame++) {
      mix.take(tone(frame, frame > 50 ? 1 : 0));
      const output = new Float32Array(frameSamples);
      mix.mix(output, 1);
      expect(power(output)).toBe(0);
    }
  });

  test('without harm from silence', () => {
    const mix = new DryMix();
    for (let frame = 0; frame < 300; frame++) {
      mix.take(new Float32Array(frameSamples));
      const output = new Float32Array(frameSamples);
      mix.mix(output, 0);
      expect(output.every((sample) => sample === 0)).toBe(true);
    }
  });
});
