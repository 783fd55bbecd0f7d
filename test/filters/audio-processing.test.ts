import { describe, expect, test } from 'vitest';
import { Resampler } from '../../src/audio/index.js';
import { AudioProcessing, type AudioProcessingOptions } from '../../src/filters/index.js';
import { levelDbfs, makeTone } from '../support/tone.js';
import { noiseOf } from './levels.js';

const sampleRate = 16_000;
const createRateConverter: AudioProcessingOptions['createRateConverter'] = (rates) =>
  Resampler.create({ ...rates, primed: true });

const open = (parts: Omit<AudioProcessingOptions, 'createRateConverter'>) =>
  new AudioProcessing({ ...parts, createRateConverter });

/** Bursts of a tone, 0.3 s of every 0.5 s, as loud as asked, over noise of -70 dBFS. */
function speech(levelOfTone: number, durationMs: number): Int16Array {
  const { samples } = makeTone(300, durationMs, sampleRate, levelOfTone);
  return samples.map((sample, i) => {
    const spoken = i % (sampleRate / 2) < 0.3 * sampleRate;
    return (spoken ? sample : 0) + Math.round(20 * Math.sin(i * i));
  });
}

/** Level of the tone in the last of the bursts. */
const lastBurst = (samples: Int16Array) =>
  levelDbfs(samples.slice(-sampleRate / 2).slice(0, 0.3 * sampleRate));

describe('gain control', () => {
  test('raises quiet speech, within limits of pace and noise', () => {
    const processing = open({ gainControl: true });
    const samples = speech(-40, 10_000);
    processing.process(samples, sampleRate, 1);
    expect(levelDbfs(samples.slice(0, 0.3 * sampleRate))).toBeCloseTo(-39, -1);
    expect(lastBurst(samples)).toBeGreaterThan(-27);
    expect(lastBurst(samples)).toBeLessThan(-15);
  });

  test('leaves loud speech, and clips nothing', () => {
    const processing = open({ gainControl: true });
    const samples = speech(-3, 5_000);
    processing.process(samples, sampleRate, 1);
    expect(Math.max(...samples.map(Math.abs))).toBeLessThan(0.9 * 32_768);
    expect(lastBurst(samples)).toBeGreaterThan(-6);
  });

  test('does not raise noise', () => {
    const processing = open({ gainControl: true });
    const samples = speech(-90, 5_000);
    const before = levelDbfs(samples);
    processing.process(samples, sampleRate, 1);
    expect(levelDbfs(samples)).toBeCloseTo(before, 0);
  });
});

describe('noise suppression of the audio processing module', () => {
  test.each([
    [48_000, 1],
    [16_000, 2],
  ])('takes noise away at %i Hz in %i channels, from when it has loaded', async (rate, numChannels) => {
    const processing = open({ noiseSuppression: true });
    const noise = noiseOf((rate / 100) * numChannels);
    let frame = noise();
    while (levelDbfs(frame) > -45) {
      frame = noise();
      processing.process(frame, rate, numChannels);
      await new Promise(setImmediate);
    }
    processing.close();
  });
});

describe('high-pass', () => {
  test('takes direct current away, of each channel', () => {
    const processing = open({ highPass: true });
    const samples = Int16Array.from({ length: sampleRate * 2 }, (_, i) => (i % 2 === 0 ? 5_000 : -3_000));
    processing.process(samples, sampleRate, 2);
    expect([...samples.slice(-2)].map(Math.abs)).toEqual([0, 0]);
  });
});
