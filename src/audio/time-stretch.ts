/** Longest piece cut out or put in: a pitch period of 100 Hz. */
const maxLagMs = 10;
const minLagMs = 2.5;
const searchRate = 8000;
/** How alike two periods must be to be blended without being heard. */
const goodCorrelation = 0.9;
const hurriedCorrelation = 0.5;
const hurryMs = 80;
/** Mean square below which nobody hears a cut (-50 dBov). */
const quietMeanSquare = (32768 * 10 ** (-50 / 20)) ** 2;

/**
 * Makes a frame shorter (positive excess) or longer (negative) by one pitch period, blending it away where the signal
 * repeats itself. Returns `samples` itself where it does not, unless the excess is so great that it matters more.
 */
export function stretch(samples: Int16Array, rate: number, channels: number, excessMs: number): Int16Array {
  const frames = samples.length / channels;
  const found = findLag(samples, frames, rate, channels);
  if (!found) return samples;
  const needed = Math.abs(excessMs) > hurryMs ? hurriedCorrelation : goodCorrelation;
  if (found.correlation < needed && !found.quiet) return samples;
  return excessMs > 0
    ? shorten(samples, found.lag * channels, channels)
    : lengthen(samples, found.lag * channels, channels);
}

/** The lag at which the beginning of the frame is most like what follows, in frames at `rate`. */
function findLag(
  samples: Int16Array,
  frames: number,
  rate: number,
  channels: number,
): { lag: number; correlation: number; quiet: boolean } | undefined {
  const step = Math.max(1, Math.round(rate / searchRate));
  const coarse = decimate(samples, frames, channels, step);
  const coarseRate = rate / step;
  const maxLag = Math.min(Math.floor((coarseRate * maxLagMs) / 1000), coarse.length >> 1);
  const minLag = Math.ceil((coarseRate * minLagMs) / 1000);
  if (maxLag <= minLag) return undefined;
  let best = { lag: maxLag, correlation: -1 };
  for (let lag = minLag; lag <= maxLag; lag++) {
    const correlation = correlate(coarse, lag);
    if (correlation > best.correlation) best = { lag, correlation };
  }
  let energy = 0;
  for (const value of coarse) energy += value * value;
  const quiet = energy / coarse.length < quietMeanSquare;
  return { lag: Math.min(best.lag * step, frames >> 1), correlation: best.correlation, quiet };
}

function decimate(samples: Int16Array, frames: number, channels: number, step: number): Float64Array {
  const out = new Float64Array(Math.floor(frames / step));
  const width = step * channels;
  for (let i = 0; i < out.length; i++) {
    let sum = 0;
    for (let j = i * width; j < (i + 1) * width; j++) sum += samples[j]!;
    out[i] = sum / width;
  }
  return out;
}

/** Normalised correlation of the first `lag` values with the `lag` values after them. */
function correlate(values: Float64Array, lag: number): number {
  let product = 0;
  let first = 0;
  let second = 0;
  for (let i = 0; i < lag; i++) {
    const a = values[i]!;
    const b = values[i + lag]!;
    product += a * b;
    first += a * a;
    second += b * b;
  }
  return first === 0 || second === 0 ? 0 : product / Math.sqrt(first * second);
}

function blend(from: Int16Array, to: Int16Array, channels: number, out: Int16Array, at: number): void {
  const frames = from.length / channels;
  for (let i = 0; i < from.length; i++) {
    const weight = (Math.floor(i / channels) + 0.5) / frames;
    out[at + i] = Math.round(from[i]! * (1 - weight) + to[i]! * weight);
  }
}

function shorten(samples: Int16Array, lag: number, channels: number): Int16Array {
  const out = new Int16Array(samples.length - lag);
  blend(samples.subarray(0, lag), samples.subarray(lag, 2 * lag), channels, out, 0);
  out.set(samples.subarray(2 * lag), lag);
  return out;
}

function lengthen(samples: Int16Array, lag: number, channels: number): Int16Array {
  const out = new Int16Array(samples.length + lag);
  out.set(samples.subarray(0, lag), 0);
  blend(samples.subarray(lag, 2 * lag), samples.subarray(0, lag), channels, out, lag);
  out.set(samples.subarray(lag), 2 * lag);
  return out;
}
