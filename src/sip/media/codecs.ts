import { type AudioCodec, type AudioDecoder, OpusEncoder, opusCodec } from '../../audio/index.js';
import { type CompandingLaw, decodeG711, encodeG711 } from './g711.js';
import { G722Decoder, G722Encoder } from './g722.js';
import type { SdpFormat } from './sdp.js';

/** Turns 20 ms of samples into one payload. */
export interface AudioEncoder {
  encode(samples: Int16Array): Uint8Array;
  close(): void;
}

/** A codec of a telephone call: how descriptions name it, and how it is coded both ways. */
export interface PhoneCodec {
  /** As in `a=rtpmap`. */
  name: 'OPUS' | 'G722' | 'PCMU' | 'PCMA';
  /** The payload type that we offer it by. */
  payloadType: number;
  clockRate: number;
  /** In the description: 2 for Opus, whatever is sent (RFC 7587, section 7). */
  sdpChannels: number;
  parameters: string;
  /** Of the samples that are encoded, in Hz. */
  sampleRate: number;
  received: AudioCodec;
  createEncoder(): AudioEncoder;
}

const nothingToClose = (): void => {};
/** A lost stretch fades to silence in this time (G.711, appendix I). */
const concealMs = 60;
const pitchMs = { least: 5, most: 15 };

/**
 * Conceals losses of codecs that cannot themselves: the last pitch period again and again, fading out (in the manner of
 * G.711, appendix I).
 */
class ConcealingDecoder implements AudioDecoder {
  readonly #decode: (packet: Uint8Array) => Int16Array;
  readonly #sampleRate: number;
  #last: Int16Array | undefined;
  #concealedMs = 0;
  #period = 0;
  #at = 0;

  constructor(sampleRate: number, decode: (packet: Uint8Array) => Int16Array) {
    this.#sampleRate = sampleRate;
    this.#decode = decode;
  }

  decode(packet: Uint8Array): Int16Array | undefined {
    if (packet.length === 0) return undefined;
    const samples = this.#decode(packet);
    this.#last = samples;
    this.#concealedMs = 0;
    return samples;
  }

  conceal(): Int16Array | undefined {
    const last = this.#last;
    if (!last) return undefined;
    const made = new Int16Array(this.#sampleRate / 100);
    if (this.#concealedMs >= concealMs) return made;
    if (this.#concealedMs === 0) {
      this.#period = this.#findPeriod(last);
      this.#at = 0;
    }
    const from = last.length - this.#period;
    const fromGain = 1 - this.#concealedMs / concealMs;
    for (let i = 0; i < made.length; i++) {
      const gain = fromGain - ((i / made.length) * 10) / concealMs;
      made[i] = Math.round(last[from + this.#at]! * gain);
      this.#at = (this.#at + 1) % this.#period;
    }
    this.#concealedMs += 10;
    return made;
  }

  close(): void {
    this.#last = undefined;
  }

  /** The lag at which the end of the last frame is most like what comes before it. */
  #findPeriod(samples: Int16Array): number {
    const perMs = this.#sampleRate / 1_000;
    const most = Math.min(pitchMs.most * perMs, samples.length >> 1);
    const least = Math.min(pitchMs.least * perMs, most);
    let best = { period: most, score: Number.NEGATIVE_INFINITY };
    for (let period = least; period <= most; period++) {
      let product = 0;
      let energy = 1;
      for (let i = samples.length - period; i < samples.length; i++) {
        product += samples[i]! * samples[i - period]!;
        energy += samples[i - period]! ** 2;
      }
      const score = product / Math.sqrt(energy * period);
      if (score > best.score) best = { period, score };
    }
    return Math.max(1, best.period);
  }
}

function g711(name: 'PCMU' | 'PCMA', payloadType: number, law: CompandingLaw): PhoneCodec {
  return {
    name,
    payloadType,
    clockRate: 8_000,
    sdpChannels: 1,
    parameters: '',
    sampleRate: 8_000,
    received: {
      name: name === 'PCMU' ? 'pcmu' : 'pcma',
      clockRate: 8_000,
      rates: [8_000],
      maxChannels: 1,
      dtxBytes: 0,
      packetSamples: (payload) => payload.length,
      createDecoder: (rate) => new ConcealingDecoder(rate, (packet) => decodeG711(packet, law)),
    },
    createEncoder: () => ({ encode: (samples) => encodeG711(samples, law), close: nothingToClose }),
  };
}

const g722: PhoneCodec = {
  name: 'G722',
  payloadType: 9,
  // The clock of G.722 is 8 kHz in RTP, by an old mistake that stays (RFC 3551, section 4.5.2).
  clockRate: 8_000,
  sdpChannels: 1,
  parameters: '',
  sampleRate: 16_000,
  received: {
    name: 'g722',
    clockRate: 8_000,
    rates: [16_000],
    maxChannels: 1,
    dtxBytes: 0,
    packetSamples: (payload) => payload.length,
    createDecoder: (rate) => {
      const decoder = new G722Decoder();
      return new ConcealingDecoder(rate, (packet) => decoder.decode(packet));
    },
  },
  createEncoder: () => {
    const encoder = new G722Encoder();
    return { encode: (samples) => encoder.encode(samples), close: nothingToClose };
  },
};

const opusBitrateBps = 32_000;

const opus: PhoneCodec = {
  name: 'OPUS',
  payloadType: 111,
  clockRate: 48_000,
  sdpChannels: 2,
  parameters: 'useinbandfec=1',
  sampleRate: 48_000,
  received: opusCodec,
  createEncoder: () =>
    new OpusEncoder({ sampleRate: 48_000, numChannels: 1, bitrateBps: opusBitrateBps, dtx: false }),
};

/** The codecs of telephone calls, the best first. */
export const phoneCodecs: readonly PhoneCodec[] = [opus, g722, g711('PCMU', 0, 'mu'), g711('PCMA', 8, 'a')];

export const telephoneEventName = 'TELEPHONE-EVENT';

/** The codec that a format of a description names, if we have it. */
export function codecOf({ name, clockRate }: SdpFormat): PhoneCodec | undefined {
  return phoneCodecs.find((codec) => codec.name === name && codec.clockRate === clockRate);
}

export function formatOf({ name, payloadType, clockRate, sdpChannels, parameters }: PhoneCodec): SdpFormat {
  return { payloadType, name: name === 'OPUS' ? 'opus' : name, clockRate, channels: sdpChannels, parameters };
}
