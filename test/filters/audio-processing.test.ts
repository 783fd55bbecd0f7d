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

describe('echo cancellation', () => {
  test.each([
    [48_000, 1],
    [16_000, 2],
  ])(
    'takes out what is played, at %i Hz in %i channels, and leaves what is said',
    async (rate, numChannels) => {
      const processing = open({ echoCancellation: true });
      processing.setStreamDelay(40);
      const frameLength = (rate / 100) * numChannels;
      const next = noiseOf(frameLength);
      const silence = new Int16Array(frameLength);
      // The room: what was played comes back 40 ms later at half its level.
      const air: Int16Array[] = Array.from({ length: 4 }, () => silence);
      for (let quietFrames = 0; quietFrames < 50; ) {
        const played = next();
        processing.processReverse(played, rate, numChannels);
        air.push(played);
        const captured = Int16Array.from(air.shift()!, (sample) => sample / 2);
        processing.process(captured, rate, numChannels);
        quietFrames = levelDbfs(captured) < -40 ? quietFrames + 1 : 0;
        await new Promise(setImmediate);
      }
      // Programs that play nothing may say nothing of it.
      let said: Int16Array = silence;
      for (let frame = 0; frame < 200; frame++) {
        said = next();
        processing.process(said, rate, numChannels);
      }
      expect(levelDbfs(said)).toBeCloseTo(levelDbfs(next()), -1);
      processing.close();
    },
  );

  test('leaves the handlers of uncaught errors to the program', async () => {
    const handlers = () => [
      process.listenerCount('uncaughtException'),
      process.listenerCount('unhandledRejection'),
    ];
    const before = handlers();
    const processing = open({ echoCancellation: true });
    const played = noiseOf(480);
    let frame: Int16Array;
    do {
      frame = played();
      processing.processReverse(frame, 48_000, 1);
      processing.process(frame, 48_000, 1);
      await new Promise(setImmediate);
    } while (levelDbfs(frame) > -40);
    expect(handlers()).toEqual(before);
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
