import { Decoder, Encoder } from '@evan/opus';

/** Rates that Opus takes and gives without a resampler. */
export const opusRates = [8000, 12000, 16000, 24000, 48000] as const;
export type OpusRate = (typeof opusRates)[number];

/** Opus RTP timestamps count 48 kHz samples whatever the coded rate is (RFC 7587, section 4.1). */
export const opusClockRate = 48000;

/** Two payload bytes or less hold no audio: the encoder says that silence goes on (discontinuous transmission). */
export const maxDtxBytes = 2;

export const isOpusRate = (rate: number): rate is OpusRate => (opusRates as readonly number[]).includes(rate);

/**
 * Native codec state is freed by the garbage collector only, which does not see its size: five thousand short calls
 * would grow a process by 200 MB. So codecs go back to a pool and are used again.
 */
class Pool<T extends { reset(): void }> {
  #idle = new Map<string, T[]>();
  #create: (rate: OpusRate, channels: 1 | 2) => T;

  constructor(create: (rate: OpusRate, channels: 1 | 2) => T) {
    this.#create = create;
  }

  take(rate: OpusRate, channels: 1 | 2): T {
    return this.#idle.get(`${rate}/${channels}`)?.pop() ?? this.#create(rate, channels);
  }

  giveBack(codec: T, rate: OpusRate, channels: 1 | 2): void {
    const key = `${rate}/${channels}`;
    const idle = this.#idle.get(key) ?? [];
    this.#idle.set(key, idle);
    codec.reset();
    idle.push(codec);
  }
}

const encoders = new Pool(
  (rate, channels) => new Encoder({ sample_rate: rate, channels, application: 'voip' }),
);
const decoders = new Pool((rate, channels) => new Decoder({ sample_rate: rate, channels }));

export interface OpusEncoderOptions {
  sampleRate: OpusRate;
  numChannels: 1 | 2;
  bitrateBps: number;
  dtx: boolean;
  /** 0 to 10; higher sounds better and costs more. */
  complexity?: number;
}

export class OpusEncoder {
  #encoder: Encoder | undefined;
  #options: OpusEncoderOptions;

  constructor(options: OpusEncoderOptions) {
    this.#options = options;
    const encoder = encoders.take(options.sampleRate, options.numChannels);
    this.#encoder = encoder;
    encoder.bitrate = options.bitrateBps;
    encoder.dtx = options.dtx;
    encoder.complexity = (options.complexity ?? defaultComplexity) as 0;
    encoder.inband_fec = true;
    encoder.packet_loss = 0;
  }

  /** Encodes one frame (2.5 to 60 ms) of interleaved samples. */
  encode(samples: Int16Array): Uint8Array {
    if (!this.#encoder) throw new Error('encoder is closed');
    return this.#encoder.encode(samples);
  }

  /** Tells the encoder what share of packets is lost (0 to 1), so that it spends bits on in-band correction. */
  setExpectedLoss(fraction: number): void {
    if (this.#encoder) this.#encoder.packet_loss = Math.round(Math.min(1, fraction) * 100);
  }

  close(): void {
    if (!this.#encoder) return;
    encoders.giveBack(this.#encoder, this.#options.sampleRate, this.#options.numChannels);
    this.#encoder = undefined;
  }
}

const defaultComplexity = 7;

export class OpusDecoder {
  readonly sampleRate: OpusRate;
  readonly numChannels: 1 | 2;
  #decoder: Decoder | undefined;
  #concealPacket = Uint8Array.of(0);
  #hasDecoded = false;

  constructor(sampleRate: OpusRate, numChannels: 1 | 2) {
    this.sampleRate = sampleRate;
    this.numChannels = numChannels;
    this.#decoder = decoders.take(sampleRate, numChannels);
  }

  /** Decodes a packet to interleaved samples; undefined when it is no valid Opus packet. */
  decode(packet: Uint8Array): Int16Array | undefined {
    if (packet.length === 0) return undefined;
    const samples = this.#run(packet);
    if (!samples) return undefined;
    // Code 0 (one frame) of the same configuration, with no data: libopus takes it for a lost frame and conceals it.
    this.#concealPacket[0] = packet[0]! & 0xfc;
    this.#hasDecoded = true;
    return samples;
  }

  /** Makes up one frame in place of a lost one, fading as losses go on; undefined before the first packet. */
  conceal(): Int16Array | undefined {
    return this.#hasDecoded ? this.#run(this.#concealPacket) : undefined;
  }

  close(): void {
    if (!this.#decoder) return;
    decoders.giveBack(this.#decoder, this.sampleRate, this.numChannels);
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

const frameSamplesByConfig = [480, 960, 1920, 2880];

/** How long a packet is in 48 kHz samples, from its first bytes (RFC 6716, section 3.1); 0 when it is malformed. */
export function opusPacketSamples(packet: Uint8Array): number {
  const toc = packet[0];
  if (toc === undefined) return 0;
  const config = toc >> 3;
  const code = toc & 3;
  const frames = code === 0 ? 1 : code < 3 ? 2 : (packet[1] ?? 0) & 0x3f;
  let samples: number;
  if (config < 12) samples = frameSamplesByConfig[config & 3]!;
  else if (config < 16) samples = config & 1 ? 960 : 480;
  else samples = 120 << (config & 3);
  const total = samples * frames;
  return total <= 5760 ? total : 0;
}
