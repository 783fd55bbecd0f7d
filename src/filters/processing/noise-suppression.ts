import { describeError } from '../../errors/index.js';
import { createLogger } from '../../logging/index.js';
import type { Rnnoise } from '../rnnoise.js';
import type { CreateRateConverter, RateConverter } from './rate-converter.js';

const log = createLogger('filters/processing');
const rnnoiseRate = 48_000;

/** RNNoise on the calling thread, with resampling around it at other rates. Audio passes until it has loaded. */
export class NoiseSuppression {
  #rnnoise: Rnnoise | undefined;
  #up: RateConverter;
  #down: RateConverter;
  #closed = false;

  constructor(sampleRate: number, numChannels: number, createRateConverter: CreateRateConverter) {
    this.#up = createRateConverter({ inputRate: sampleRate, outputRate: rnnoiseRate, numChannels });
    this.#down = createRateConverter({ inputRate: rnnoiseRate, outputRate: sampleRate, numChannels });
    this.#load(numChannels).catch((error: unknown) => {
      log.error(`noise suppression could not be loaded; audio passes without it: ${describeError(error)}`);
    });
  }

  /** Takes and returns 10 ms; what it returns is late by 20 ms and the resampling. */
  process(samples: Int16Array): Int16Array {
    const wide = this.#up.push(samples).slice();
    this.#rnnoise?.process(wide);
    return this.#down.push(wide);
  }

  close(): void {
    this.#closed = true;
    this.#rnnoise?.close();
    this.#rnnoise = undefined;
  }

  async #load(numChannels: number): Promise<void> {
    const { createRnnoise } = await import('../rnnoise.js');
    const rnnoise = await createRnnoise({ sampleRate: rnnoiseRate, numChannels });
    if (this.#closed) rnnoise.close();
    else this.#rnnoise = rnnoise;
  }
}
