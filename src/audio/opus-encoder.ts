import { Encoder } from '@evan/opus';
import { CodecPool } from './codec-pool.js';
import type { OpusRate } from './opus-rates.js';

export interface OpusEncoderOptions {
  sampleRate: OpusRate;
  numChannels: 1 | 2;
  bitrateBps: number;
  dtx: boolean;
}

/**
 * Of 10. Below 7 libopus does not analyse what it hears, and discontinuous transmission takes a steady tone for noise:
 * after a second the other end hears comfort noise in its place. Above 7 speech at these bit rates sounds the same.
 */
const complexity = 7;
/**
 * An encoder that expects no loss at all predicts each packet from the ones before without bound: at 8 kHz one lost packet of
 * a steady tone (a dial tone, a held note) leaves it at full scale for seconds.
 */
const minExpectedLossPercent = 1;

const encoders = new CodecPool(
  (rate, channels) => new Encoder({ sample_rate: rate, channels, application: 'voip' }),
);

export class OpusEncoder {
  #encoder: Encoder | undefined;
  #options: OpusEncoderOptions;

  constructor(options: OpusEncoderOptions) {
    this.#options = options;
    const encoder = encoders.take(options.sampleRate, options.numChannels);
    this.#encoder = encoder;
    encoder.bitrate = options.bitrateBps;
    encoder.dtx = options.dtx;
    encoder.complexity = complexity;
    // Correction costs a third more per packet, so that it begins when loss is reported.
    encoder.inband_fec = false;
    encoder.packet_loss = minExpectedLossPercent;
  }

  /** Encodes 20 ms of interleaved samples. A result of two bytes or less means that silence goes on. */
  encode(samples: Int16Array): Uint8Array {
    if (!this.#encoder) throw new Error('encoder is closed');
    return this.#encoder.encode(samples);
  }

  /** Tells the encoder what share of packets is lost (0 to 1), so that it spends bits on in-band correction. */
  setExpectedLoss(fraction: number): void {
    const percent = Math.round(Math.min(1, fraction) * 100);
    if (!this.#encoder) return;
    this.#encoder.packet_loss = Math.max(minExpectedLossPercent, percent);
    this.#encoder.inband_fec = percent > minExpectedLossPercent;
  }

  close(): void {
    if (!this.#encoder) return;
    encoders.giveBack(this.#encoder, this.#options.sampleRate, this.#options.numChannels);
    this.#encoder = undefined;
  }
}
