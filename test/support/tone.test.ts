import { describe, expect, test } from 'vitest';
import { audiblePart, dominantFrequencyHz, findGaps, levelDbfs, makeTone } from './tone.js';

const sampleRate = 48_000;

describe('the tone detector', () => {
  test('finds the frequency and the level of a sine', () => {
    const tone = makeTone(1_000, 500, sampleRate, -20);
    expect(dominantFrequencyHz(tone)).toBe(1_000);
    expect(levelDbfs(tone.samples)).toBeCloseTo(-20, 1);
  });

  test('tells apart tones 50 Hz from each other', () => {
    expect(dominantFrequencyHz(makeTone(440, 200, sampleRate, -30))).toBe(440);
    expect(dominantFrequencyHz(makeTone(490, 200, sampleRate, -30))).toBe(490);
  });

  test('finds a gap of 30 ms, where it is and how long', () => {
    const tone = makeTone(440, 400, sampleRate, -20);
    tone.samples.fill(0, sampleRate * 0.2, sampleRate * 0.23);
    expect(findGaps(tone)).toEqual([{ startMs: 200, durationMs: 30 }]);
  });

  test('does not take silence before and after the sound for a gap', () => {
    const tone = makeTone(440, 400, sampleRate, -20);
    tone.samples.fill(0, 0, sampleRate * 0.1);
    tone.samples.fill(0, sampleRate * 0.3);
    expect(findGaps(tone)).toEqual([]);
    expect(audiblePart(tone).samples).toHaveLength(sampleRate * 0.2);
  });

  test('hears nothing in silence', () => {
    const silence = { samples: new Int16Array(4_800), sampleRate };
    expect(findGaps(silence)).toEqual([]);
    expect(audiblePart(silence).samples).toHaveLength(0);
    expect(levelDbfs(silence.samples)).toBe(Number.NEGATIVE_INFINITY);
  });
});
