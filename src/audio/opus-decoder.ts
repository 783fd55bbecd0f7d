import { Decoder } from '@evan/opus';
import { CodecPool } from './codec-pool.js';
import { tenMsToc } from './opus-packet.js';
import type { OpusRate } from './opus-rates.js';

const decoders = new CodecPool((rate, channels) => new Decoder({ sample_rate: rate, channels }));

export class OpusDecoder {
  #rate: OpusRate;
  #channels: 1 | 2;
  #decoder: Decoder | undefined;
  #concealPacket = new Uint8Array(1);
  #hasDecoded = false;

  constructor(sampleRate: OpusRate, numChannels: 1 | 2) {
    this.#rate = sampleRate;
    this.#channels = numChannels;
    this.#decoder = decoders.take(sampleRate, numChannels);
  }

  /** Decodes a packet to interleaved samples; undefined when it is no valid Opus packet. */
  decode(packet: Uint8Array): Int16Array | undefined {
    if (packet.length === 0) return undefined;
    const samples = this.#run(packet);
    if (!samples) return undefined;
    // A packet with a first byte and no data is a lost frame to libopus, which conceals it.
    this.#concealPacket[0] = tenMsToc(packet[0]!);
    this.#hasDecoded = true;
    return samples;
  }

  /** Makes up 10 ms in place of what is lost, fading as losses go on; undefined before the first packet. */
  conceal(): Int16Array | undefined {
    return this.#hasDecoded ? this.#run(this.#concealPacket) : undefined;
  }

  close(): void {
    if (!this.#decoder) return;
    decoders.giveBack(this.#decoder, this.#rate, this.#channels);
    this.#decoder = undefined;
  }

  #run(packet: Uint8Array): Int16Array | undefined {
    if (!this.#decoder) return undefined;
    try {
      const bytes = this.#decoder.decode(packet);
      return new Int16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 1);
    } catch {
      return undefined;
    }
  }
}
