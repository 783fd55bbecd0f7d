import type { Stage } from './chain.js';
import type { TimedSamples } from './filter-stage.js';
import { Resampler } from './resampler.js';

/** A stage that brings samples to `outputRate` (Hz), and starts afresh when the rate that comes in changes. */
export function resampleTo(outputRate: number, numChannels: number): Stage<TimedSamples, Int16Array> {
  let current: { from: number; resampler: Resampler } | undefined;
  return ({ samples, sampleRate }, next) => {
    if (sampleRate === outputRate) {
      current = undefined;
      next(samples);
      return;
    }
    if (current?.from !== sampleRate) {
      const resampler = Resampler.create({ inputRate: sampleRate, outputRate, numChannels, primed: true });
      current = { from: sampleRate, resampler };
    }
    next(current.resampler.push(samples));
  };
}
