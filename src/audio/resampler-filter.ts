import { limits } from '../limits.js';

export type ResamplerQuality = 'quick' | 'low' | 'medium' | 'high' | 'veryHigh';

/** Zero crossings on each side of the filter (at the lower of the two rates), and how far aliases are pushed down. */
const designs: Record<ResamplerQuality, { zeroCrossings: number; attenuationDb: number }> = {
  quick: { zeroCrossings: 8, attenuationDb: 50 },
  low: { zeroCrossings: 16, attenuationDb: 60 },
  medium: { zeroCrossings: 24, attenuationDb: 75 },
  high: { zeroCrossings: 40, attenuationDb: 95 },
  veryHigh: { zeroCrossings: 80, attenuationDb: 120 },
};
export const resamplerQualities = Object.keys(designs) as ResamplerQuality[];

/** A short filter keeps the upper voice band rather than rejecting every alias beside the cut-off. */
const lowestCutoff = 0.87;
/** Rates with a greater common structure than this share the nearest of so many phases. */
const maxPhases = 2048;

/** A windowed sinc, cut into one short filter for each position of an output sample between two input samples. */
export interface PolyphaseFilter {
  phases: number;
  /** Input samples needed on each side of an output sample. */
  half: number;
  /** `phases * 2 * half` values. */
  coefficients: Float64Array;
}

const cache = new Map<string, PolyphaseFilter>();

/** @param up @param down the ratio output / input in lowest terms */
export function polyphaseFilter(up: number, down: number, quality: ResamplerQuality): PolyphaseFilter {
  const key = `${up}/${down}/${quality}`;
  const filter = cache.get(key) ?? design(up, down, quality);
  // The map is in the order of use: what was used longest ago goes first.
  cache.delete(key);
  cache.set(key, filter);
  if (cache.size > limits.resamplerDesigns.value) cache.delete(cache.keys().next().value!);
  return filter;
}

function design(up: number, down: number, quality: ResamplerQuality): PolyphaseFilter {
  const { zeroCrossings, attenuationDb } = designs[quality];
  const widening = Math.max(1, down / up);
  const half = Math.ceil(zeroCrossings * widening);
  // Kaiser's formula: the transition band that this length and attenuation leave, as a fraction of the lower Nyquist.
  const transition = (attenuationDb - 7.95) / (2.285 * (2 * zeroCrossings - 1)) / Math.PI;
  const cutoff = Math.max(lowestCutoff, 1 - transition / 2) / widening;
  const beta =
    attenuationDb > 50
      ? 0.1102 * (attenuationDb - 8.7)
      : 0.5842 * (attenuationDb - 21) ** 0.4 + 0.07886 * (attenuationDb - 21);
  const taps = 2 * half;
  const affordable = Math.max(1, Math.floor(limits.resamplerCoefficients.value / taps));
  const phases = Math.min(up, maxPhases, affordable);
  const coefficients = new Float64Array(phases * taps);
  for (let phase = 0; phase < phases; phase++) {
    let sum = 0;
    for (let tap = 0; tap < taps; tap++) {
      const distance = tap - half + 1 - phase / phases;
      const value = sinc(distance * cutoff) * kaiser(distance / half, beta);
      coefficients[phase * taps + tap] = value;
      sum += value;
    }
    for (let tap = 0; tap < taps; tap++) coefficients[phase * taps + tap]! /= sum;
  }
  return { phases, half, coefficients };
}

const sinc = (x: number) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

function kaiser(x: number, beta: number): number {
  return Math.abs(x) > 1 ? 0 : bessel(beta * Math.sqrt(1 - x * x)) / bessel(beta);
}

/** Modified Bessel function of the first kind, order zero. */
function bessel(x: number): number {
  let sum = 1;
  let term = 1;
  for (let k = 1; term > sum * 1e-16; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}
