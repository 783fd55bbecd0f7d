import type { DecodedFormat } from './audio-stream.js';
import type { JitterBuffer, MediaPacket } from './jitter-buffer.js';
import { isOpusRate, OpusDecoder, type OpusRate, opusClockRate } from './opus.js';
import { stretch } from './time-stretch.js';

export interface PlayoutStats {
  /** Samples played, in units of 48 kHz: decoded, made up and silent. */
  samplesPlayed: number;
  /** Samples made up for packets that were lost or late. */
  samplesConcealed: number;
  /** Runs of such samples. */
  concealmentEvents: number;
  /** Samples cut out or put in to get the delay right. */
  samplesRemoved: number;
  samplesInserted: number;
}

/** A delay this far off is corrected by playing a little faster or slower. */
const tolerableExcessMs = 15;

/** Decodes what the jitter buffer says, once for all streams, and gives it out in steady pieces of 10 ms. */
export class Playout {
  readonly stats: PlayoutStats = {
    samplesPlayed: 0,
    samplesConcealed: 0,
    concealmentEvents: 0,
    samplesRemoved: 0,
    samplesInserted: 0,
  };
  #jitter: JitterBuffer;
  #rate: OpusRate = opusClockRate;
  #channels: 1 | 2 = 1;
  #decoder: OpusDecoder | undefined;
  /** Decoded and not yet played. */
  #waiting: Int16Array = new Int16Array(0);
  #silence: Int16Array = new Int16Array(0);
  #concealing = false;
  #last: MediaPacket | undefined;

  constructor(jitter: JitterBuffer) {
    this.#jitter = jitter;
    this.#resize();
  }

  get format(): DecodedFormat {
    return { sampleRate: this.#rate, numChannels: this.#channels };
  }

  /** Plays from another buffer, as when the source of a track has changed. */
  setSource(jitter: JitterBuffer): void {
    this.#jitter = jitter;
    this.#last = undefined;
  }

  /** Chooses what to decode to: the streams' own rate when they agree and Opus has it, else 48 kHz. */
  configure(streams: Iterable<{ sampleRate: number; numChannels: number }>): void {
    const wanted = [...streams];
    const rates = new Set(wanted.map(({ sampleRate }) => sampleRate));
    const [only] = rates;
    const rate = rates.size === 1 && isOpusRate(only!) ? only : opusClockRate;
    const channels = wanted.some(({ numChannels }) => numChannels > 1) ? 2 : 1;
    if (rate === this.#rate && channels === this.#channels) return;
    this.rest();
    this.#rate = rate;
    this.#channels = channels;
    this.#resize();
    // A decoder that starts in mid-stream needs a packet to find its feet.
    if (this.#last) this.#useDecoder().decode(this.#last.payload);
  }

  /** Frees the decoder until there is something to play again. */
  rest(): void {
    this.#decoder?.close();
    this.#decoder = undefined;
    this.#waiting = new Int16Array(0);
  }

  close(): void {
    this.rest();
  }

  /** The next 10 ms of interleaved samples. */
  tenMs(nowMs: number): Int16Array {
    const size = this.#silence.length;
    while (this.#waiting.length < size) {
      const waitingMs = (this.#waiting.length / size) * 10;
      const samples = this.#next(nowMs + waitingMs);
      this.#waiting = this.#waiting.length === 0 ? samples : concatenate(this.#waiting, samples);
    }
    const piece = this.#waiting.subarray(0, size);
    this.#waiting = this.#waiting.subarray(size);
    this.stats.samplesPlayed += opusClockRate / 100;
    return piece;
  }

  #next(nowMs: number): Int16Array {
    const decision = this.#jitter.next(nowMs);
    switch (decision.kind) {
      case 'packet': {
        this.#last = decision.packet;
        const decoded = this.#useDecoder().decode(decision.packet.payload);
        if (!decoded) return this.#conceal(true);
        this.#concealing = false;
        return this.#adjust(decoded, decision.excessMs);
      }
      case 'conceal':
        return this.#conceal(true);
      case 'comfort':
        return this.#conceal(false);
      case 'silence':
        this.#concealing = false;
        return this.#silence;
    }
  }

  #conceal(counts: boolean): Int16Array {
    const samples = this.#decoder?.conceal() ?? this.#silence;
    const units = this.#unitsOf(samples.length);
    this.#jitter.filled(units);
    if (!counts) return samples;
    if (!this.#concealing) this.stats.concealmentEvents++;
    this.#concealing = true;
    this.stats.samplesConcealed += units;
    return samples;
  }

  #adjust(samples: Int16Array, excessMs: number): Int16Array {
    if (Math.abs(excessMs) <= tolerableExcessMs) return samples;
    const adjusted = stretch(samples, this.#rate, this.#channels, excessMs);
    const change = this.#unitsOf(adjusted.length) - this.#unitsOf(samples.length);
    if (change < 0) this.stats.samplesRemoved -= change;
    else this.stats.samplesInserted += change;
    return adjusted;
  }

  #unitsOf(values: number): number {
    return ((values / this.#channels) * opusClockRate) / this.#rate;
  }

  #useDecoder(): OpusDecoder {
    this.#decoder ??= new OpusDecoder(this.#rate, this.#channels);
    return this.#decoder;
  }

  #resize(): void {
    this.#silence = new Int16Array((this.#rate / 100) * this.#channels);
  }
}

function concatenate(a: Int16Array, b: Int16Array): Int16Array {
  const whole = new Int16Array(a.length + b.length);
  whole.set(a);
  whole.set(b, a.length);
  return whole;
}
