import { expect, test } from 'vitest';
import { OpusDecoder } from '../../src/audio/opus-decoder.js';
import { OpusEncoder } from '../../src/audio/opus-encoder.js';
import { levelDbfs, makeTone } from '../support/tone.js';

const saidDbfs = -12;
const packets = 400;
const calls = 20;

/** The same numbers in every run (a linear congruential generator). */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** The longest stretch that is much louder than what was said, in packets of 20 ms. */
function longestLoudStretch(hz: number, random: () => number): number {
  const encoder = new OpusEncoder({ sampleRate: 8_000, numChannels: 1, bitrateBps: 32_000, dtx: false });
  const decoder = new OpusDecoder(16_000, 1);
  const tone = makeTone(hz, packets * 30, 8_000, saidDbfs).samples;
  let at = 0;
  let loud = 0;
  let longest = 0;
  for (let n = 0; n < packets; n++) {
    // The telephone itself leaves something out now and then.
    if (random() < 0.02) at += Math.floor(random() * 80);
    const packet = encoder.encode(tone.subarray(at, at + 160));
    at += 160;
    const fate = random();
    // Lost, or late and heard after what was made up in its place.
    const made = fate < 0.02 ? [decoder.conceal(), decoder.conceal()] : [];
    const heard = fate < 0.01 ? made : [...made, decoder.decode(packet)];
    for (const samples of heard) {
      loud = samples && levelDbfs(samples) > saidDbfs + 6 ? loud + 1 : 0;
      longest = Math.max(longest, loud);
    }
  }
  encoder.close();
  decoder.close();
  return longest;
}

test.each([440, 1_000])(
  'a tone of %i Hz at a telephone’s rate comes back to its level after a loss',
  (hz) => {
    const stretches = Array.from({ length: calls }, (_, call) => longestLoudStretch(hz, numbers(call + 1)));
    expect(Math.max(...stretches)).toBeLessThanOrEqual(15);
  },
);
