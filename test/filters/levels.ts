import type { FilterSession } from '../../src/filters/index.js';
import { filterFrame } from './harness.js';

const rms = (samples: Int16Array) =>
  Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);

/** What a session at 48 kHz makes of the level of a tone, once the filter has settled. */
export async function toneGainDb(session: FilterSession, frequencyHz: number): Promise<number> {
  const frames = Array.from({ length: 30 }, (_, frame) =>
    Int16Array.from(
      { length: 480 },
      (_, i) => 10_000 * Math.sin((2 * Math.PI * frequencyHz * (frame * 480 + i)) / 48_000),
    ),
  );
  let last: Int16Array | undefined;
  for (const frame of frames) last = (await filterFrame(session, frame)) ?? last;
  return 20 * Math.log10(rms(last!) / rms(frames.at(-1)!));
}

/** A source of repeatable noise of about -20 dBFS, `length` samples a call. */
export function noiseOf(length: number): () => Int16Array {
  let seed = 1;
  return () =>
    Int16Array.from({ length }, () => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return (seed / 2_147_483_648 - 0.5) * 12_000;
    });
}
