import { checkInstance, checkObject, checkOneOf } from '../errors/index.js';
import { limits } from '../limits.js';
import { checkNumber } from './format.js';
import {
  type PolyphaseFilter,
  polyphaseFilter,
  type ResamplerQuality,
  resamplerQualities,
} from './resampler-filter.js';

export interface ResamplerOptions {
  /** Hz. */
  inputRate: number;
  /** Hz. */
  outputRate: number;
  numChannels: number;
  quality?: ResamplerQuality;
  /**
   * Begins with as much silence as the filter looks ahead, so that every `push` of 10 ms returns 10 ms. Without it the
   * first samples come late, and the output is aligned with the input.
   */
  primed?: boolean;
}

const emptySamples = new Int16Array(0);
const greatestCommonDivisor = (a: number, b: number): number =>
  b === 0 ? a : greatestCommonDivisor(b, a % b);

/**
 * Changes the sample rate of a stream of interleaved 16-bit samples with a polyphase windowed-sinc filter. Chunks may
 * have any length; n input samples make ceil(n * outputRate / inputRate) output samples in all, after `flush`.
 */
export class Resampler {
  #channels: number;
  #filter: PolyphaseFilter | undefined;
  #primed: boolean;
  /** The ratio output / input in lowest terms. */
  #up: number;
  #down: number;
  /** One buffer per channel, holding the samples that outputs still need. */
  #history: Float64Array[] = [];
  #filled = 0;
  /** Place of the next output sample: an index into the history, and a fraction of `#up`. */
  #index = 0;
  #fraction = 0;

  private constructor(options: ResamplerOptions) {
    const divisor = greatestCommonDivisor(options.inputRate, options.outputRate);
    this.#up = options.outputRate / divisor;
    this.#down = options.inputRate / divisor;
    this.#channels = options.numChannels;
    this.#primed = options.primed ?? false;
    if (this.#up !== this.#down) {
      this.#filter = polyphaseFilter(this.#up, this.#down, options.quality ?? 'medium');
      this.#reset();
    }
  }

  /** @throws OffhookError `OFFHOOK_INVALID_REQUEST` for rates or channels that are out of limits. */
  static create(options: ResamplerOptions): Resampler {
    checkObject('the options of a Resampler', options);
    const { inputRate, outputRate, numChannels, quality } = options;
    if (quality !== undefined) checkOneOf('quality', quality, resamplerQualities);
    const rates = [limits.minResamplerRate.value, limits.maxSampleRate.value] as const;
    checkNumber('resampler', 'input rate', inputRate, rates);
    checkNumber('resampler', 'output rate', outputRate, rates);
    checkNumber('resampler', 'number of channels', numChannels, [1, limits.channels.value]);
    return new Resampler(options);
  }

  /** Takes interleaved samples and returns what is ready. With equal rates it returns `samples` itself. */
  push(samples: Int16Array): Int16Array {
    checkInstance('samples', samples, Int16Array);
    const filter = this.#filter;
    if (!filter) return samples;
    this.#append(samples);
    return this.#produce(filter);
  }

  /** Returns what is left, as if silence followed, and makes the resampler ready for another stream. */
  flush(): Int16Array {
    const filter = this.#filter;
    if (!filter) return emptySamples;
    this.#append(new Int16Array(filter.half * this.#channels));
    const rest = this.#produce(filter);
    this.#reset();
    return rest;
  }

  #reset(): void {
    const { half } = this.#filter!;
    this.#filled = half - 1 + (this.#primed ? half : 0);
    this.#index = half - 1;
    this.#fraction = 0;
    for (const channel of this.#history) channel.fill(0, 0, this.#filled);
  }

  #append(samples: Int16Array): void {
    const channels = this.#channels;
    const frames = Math.floor(samples.length / channels);
    const needed = this.#filled + frames;
    for (let channel = 0; channel < channels; channel++) {
      let history = this.#history[channel];
      if (!history || history.length < needed) {
        const grown = new Float64Array(needed + 1024);
        if (history) grown.set(history.subarray(0, this.#filled));
        history = grown;
        this.#history[channel] = grown;
      }
      const filled = this.#filled;
      if (channels === 1) history.set(samples, filled);
      else for (let i = 0; i < frames; i++) history[filled + i] = samples[i * channels + channel]!;
    }
    this.#filled = needed;
  }

  #produce({ half, phases, coefficients }: PolyphaseFilter): Int16Array {
    const taps = 2 * half;
    const up = this.#up;
    const channels = this.#channels;
    const stepIndex = Math.floor(this.#down / up);
    const stepFraction = this.#down % up;
    const limit = this.#filled - half;
    if (this.#index >= limit) return emptySamples;
    // Outputs lie at index + fraction / up + k * down / up, and must stay below `limit`.
    const count = Math.ceil(((limit - this.#index) * up - this.#fraction) / this.#down);
    const out = new Int16Array(count * channels);
    const phaseScale = phases / up;
    let index = this.#index;
    let fraction = this.#fraction;
    for (let n = 0; n < count; n++) {
      const base = Math.floor(fraction * phaseScale) * taps;
      const from = index - half + 1;
      for (let channel = 0; channel < channels; channel++) {
        const history = this.#history[channel]!;
        let sum = 0;
        for (let tap = 0; tap < taps; tap++) sum += history[from + tap]! * coefficients[base + tap]!;
        out[n * channels + channel] = Math.max(-32768, Math.min(32767, Math.round(sum)));
      }
      index += stepIndex;
      fraction += stepFraction;
      if (fraction >= up) {
        fraction -= up;
        index++;
      }
    }
    const consumed = index - half + 1;
    for (const history of this.#history) history.copyWithin(0, consumed, this.#filled);
    this.#filled -= consumed;
    this.#index = index - consumed;
    this.#fraction = fraction;
    return out;
  }
}
