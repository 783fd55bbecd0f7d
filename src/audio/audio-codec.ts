import { OpusDecoder } from './opus-decoder.js';
import { maxDtxBytes, opusPacketSamples } from './opus-packet.js';
import { type OpusRate, opusClockRate, opusRates } from './opus-rates.js';

/** Decodes the packets of one stream, in the order in which they are played. */
export interface AudioDecoder {
  /** Interleaved samples; undefined when the packet is not valid. */
  decode(packet: Uint8Array): Int16Array | undefined;
  /** Makes up 10 ms in place of what is lost, fading as losses go on; undefined before the first packet. */
  conceal(): Int16Array | undefined;
  close(): void;
}

/** A codec as a receiver needs to know it. */
export interface AudioCodec {
  /** As session descriptions have it, in lower case. */
  readonly name: 'opus' | 'pcmu' | 'pcma' | 'g722';
  /** Of RTP timestamps, in Hz. */
  readonly clockRate: number;
  /** Rates to which it decodes without a resampler, in Hz, ascending. */
  readonly rates: readonly number[];
  readonly maxChannels: 1 | 2;
  /** A payload of this size or less says that silence goes on; 0 for a codec without such payloads. */
  readonly dtxBytes: number;
  /** How long a payload is, in units of the clock rate; 0 when it is malformed. */
  packetSamples(payload: Uint8Array): number;
  createDecoder(sampleRate: number, numChannels: 1 | 2): AudioDecoder;
}

export const opusCodec: AudioCodec = {
  name: 'opus',
  clockRate: opusClockRate,
  rates: opusRates,
  maxChannels: 2,
  dtxBytes: maxDtxBytes,
  packetSamples: opusPacketSamples,
  createDecoder: (sampleRate, numChannels) => new OpusDecoder(sampleRate as OpusRate, numChannels),
};
