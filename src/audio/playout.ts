import type { AudioCodec, AudioDecoder } from './audio-codec.js';
import { meanSquare } from './audio-level.js';
import type { DecodedAudio } from './audio-stream.js';
import type { JitterBuffer, MediaPacket } from './jitter-buffer.js';
import { remix } from './remix.js';
import { Resampler } from './resampler.js';
import { stretch } from './time-stretch.js';

export interface PlayoutStats {
  /** Samples played, in units of the codec's clock (48 kHz for Opus): decoded, made up and silent. */
  samplesPlayed: number;
  /** Samples made up for packets that were lost or late. */
  samplesConcealed: number;
  /** Runs of such samples. */
  concealmentEvents: number;
  /** Samples cut out or put in to get the delay right. */
  samplesRemoved: number;
  samplesInserted: number;
  /** Mean square of the last 10 ms as a fraction of full scale, and the sum of all, each times 10 ms in seconds. */
  meanSquare: number;
  totalAudioEnergy: number;
}

/** A level needs few samples. Odd, so that both channels of stereo count. */
const levelStep = 7;
/** A delay this far off is corrected by playing a little faster or slower. */
const tolerableExcessMs = 15;
/** Further off than this, at every packet. */
const urgentExcessMs = 60;
const packetsBetweenStretches = 4;

/** Decodes what the jitter buffer says, once for all streams, and gives it out in steady pieces of 10 ms. */
export class Playout {
  readonly stats: PlayoutStats = {
    samplesPlayed: 0,
    samplesConcealed: 0,
    concealmentEvents: 0,
    samplesRemoved: 0,
    samplesInserted: 0,
    meanSquare: 0,
    totalAudioEnergy: 0,
  };
  #jitter: JitterBuffer;
  #codec: AudioCodec;
  #rate: number;
  #channels: 1 | 2 = 1;
  #decoder: AudioDecoder | undefined;
  /** Decoded and not yet played. */
  #waiting: Int16Array = new Int16Array(0);
  #silence: Int16Array;
  #concealing = false;
  #wasSilent = true;
  #sinceStretch = 0;
  #last: MediaPacket | undefined;

  constructor(jitter: JitterBuffer, codec: AudioCodec) {
    this.#jitter = jitter;
    this.#codec = codec;
    this.#rate = codec.rates.at(-1)!;
    this.#silence = new Int16Array(this.#rate / 100);
  }

  /**
   * Chooses what to decode to: the streams' own rate when they agree and the codec has it, else its highest. While playing, the
   * choice only ever grows, since a new decoder takes a moment to find its feet.
   */
  serve(streams: Iterable<{ sampleRate: number; numChannels: number }>): void {
    const wanted = [...streams];
    const rates = new Set(wanted.map(({ sampleRate }) => sampleRate));
    const [first] = rates;
    const { rates: possible, maxChannels } = this.#codec;
    const shared = rates.size === 1 && possible.includes(first!) ? first! : possible.at(-1)!;
    const stereo = maxChannels === 2 && wanted.some(({ numChannels }) => numChannels > 1);
    const playing = this.#decoder !== undefined;
    const rate = playing ? Math.max(shared, this.#rate) : shared;
    const channels = stereo || (playing && this.#channels === 2) ? 2 : 1;
    if (rate !== this.#rate || channels !== this.#channels) this.#change(rate, channels);
  }

  /** Frees the decoder until there is something to play again. */
  rest(): void {
    this.#decoder?.close();
    this.#decoder = undefined;
    this.#waiting = new Int16Array(0);
    this.#last = undefined;
    this.#wasSilent = true;
  }

  /** The next 10 ms. */
  tenMs(nowMs: number): DecodedAudio {
    const size = this.#silence.length;
    while (this.#waiting.length < size) {
      const waitingMs = (this.#waiting.length / size) * 10;
      const samples = this.#next(nowMs + waitingMs);
      this.#waiting = this.#waiting.length === 0 ? samples : concatenate(this.#waiting, samples);
    }
    const samples = this.#waiting.subarray(0, size);
    this.#waiting = this.#waiting.subarray(size);
    this.stats.samplesPlayed += this.#codec.clockRate / 100;
    const energy = this.#wasSilent ? 0 : meanSquare(samples, levelStep);
    this.stats.meanSquare = energy;
    this.stats.totalAudioEnergy += energy / 100;
    return { samples, sampleRate: this.#rate, numChannels: this.#channels };
  }

  #next(nowMs: number): Int16Array {
    const decision = this.#jitter.next(nowMs);
    if (decision.kind === 'silence') return this.#goSilent();
    this.#wasSilent = false;
    if (decision.kind !== 'packet') return this.#conceal(decision.kind === 'conceal');
    this.#last = decision.packet;
    this.#decoder ??= this.#codec.createDecoder(this.#rate, this.#channels);
    const decoded = this.#decoder.decode(decision.packet.payload);
    if (!decoded) return this.#conceal(true);
    this.#concealing = false;
    return this.#adjust(decoded, decision.excessMs);
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

  /** Silence, after a last concealed piece that fades out: an abrupt end would click. */
  #goSilent(): Int16Array {
    this.#concealing = false;
    if (this.#wasSilent) return this.#silence;
    this.#wasSilent = true;
    const last = this.#decoder?.conceal();
    if (!last) return this.#silence;
    const faded = new Int16Array(last.length);
    for (let i = 0; i < last.length; i++) faded[i] = Math.round(last[i]! * (1 - i / last.length));
    return faded;
  }

  #adjust(samples: Int16Array, excessMs: number): Int16Array {
    this.#sinceStretch++;
    const offMs = Math.abs(excessMs);
    if (offMs <= tolerableExcessMs) return samples;
    if (offMs < urgentExcessMs && this.#sinceStretch < packetsBetweenStretches) return samples;
    const adjusted = stretch(samples, this.#rate, this.#channels, excessMs);
    if (adjusted === samples) return samples;
    this.#sinceStretch = 0;
    const change = this.#unitsOf(adjusted.length - samples.length);
    if (change < 0) this.stats.samplesRemoved -= change;
    else this.stats.samplesInserted += change;
    return adjusted;
  }

  #change(rate: number, channels: 1 | 2): void {
    const remixed = remix(this.#waiting, this.#channels, channels);
    const resampler = Resampler.create({ inputRate: this.#rate, outputRate: rate, numChannels: channels });
    const waiting = concatenate(resampler.push(remixed), resampler.flush());
    const last = this.#last;
    this.rest();
    this.#waiting = waiting;
    this.#rate = rate;
    this.#channels = channels;
    this.#silence = new Int16Array((rate / 100) * channels);
    if (!last) return;
    // The last packet again, unheard, so that the new decoder knows what it goes on from.
    this.#last = last;
    this.#decoder = this.#codec.createDecoder(rate, channels);
    this.#decoder.decode(last.payload);
    this.#wasSilent = false;
  }

  #unitsOf(values: number): number {
    return ((values / this.#channels) * this.#codec.clockRate) / this.#rate;
  }
}

function concatenate(a: Int16Array, b: Int16Array): Int16Array {
  const whole = new Int16Array(a.length + b.length);
  whole.set(a);
  whole.set(b, a.length);
  return whole;
}
