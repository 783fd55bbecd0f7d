/**
 * G.711 (ITU-T G.711): 8 bits a sample at 8 kHz, in µ-law (North America, Japan) and A-law (elsewhere). Both ways are
 * tables, made once.
 */
export type CompandingLaw = 'mu' | 'a';

interface Tables {
  /** Linear sample by code. */
  decode: Int16Array;
  /** Code by linear sample, as an unsigned 16-bit index. */
  encode: Uint8Array;
  silence: number;
}

const mulawBias = 0x84;
const mulawClip = 32_635;

function decodeMu(code: number): number {
  const inverted = ~code & 0xff;
  const exponent = (inverted >> 4) & 7;
  const magnitude = ((((inverted & 0x0f) << 3) + mulawBias) << exponent) - mulawBias;
  return inverted & 0x80 ? -magnitude : magnitude;
}

function encodeMu(sample: number): number {
  const sign = sample < 0 ? 0x80 : 0;
  const magnitude = Math.min(Math.abs(sample), mulawClip) + mulawBias;
  const exponent = 31 - Math.clz32(magnitude) - 7;
  const mantissa = (magnitude >> (exponent + 3)) & 0x0f;
  return ~(sign | (exponent << 4) | mantissa) & 0xff;
}

function decodeA(code: number): number {
  const toggled = code ^ 0x55;
  const exponent = (toggled >> 4) & 7;
  const mantissa = ((toggled & 0x0f) << 4) + 8;
  const magnitude = exponent === 0 ? mantissa : (mantissa + 0x100) << (exponent - 1);
  return toggled & 0x80 ? magnitude : -magnitude;
}

function encodeA(sample: number): number {
  const sign = sample < 0 ? 0 : 0x80;
  // Negative samples are the ones' complement: -1 is in the same interval as 0 on the other side.
  const magnitude = (sample < 0 ? ~sample : sample) >> 4;
  const exponent = magnitude < 16 ? 0 : 31 - Math.clz32(magnitude) - 3;
  const mantissa = exponent < 2 ? magnitude & 0x0f : (magnitude >> (exponent - 1)) & 0x0f;
  return (sign | (exponent << 4) | mantissa) ^ 0x55;
}

function makeTables(encode: (sample: number) => number, decode: (code: number) => number): Tables {
  const tables = { decode: new Int16Array(256), encode: new Uint8Array(65_536), silence: encode(0) };
  for (let code = 0; code < 256; code++) tables.decode[code] = decode(code);
  for (let sample = -32_768; sample < 32_768; sample++) tables.encode[sample & 0xffff] = encode(sample);
  return tables;
}

const tables: Record<CompandingLaw, Tables> = {
  mu: makeTables(encodeMu, decodeMu),
  a: makeTables(encodeA, decodeA),
};

export function encodeG711(samples: Int16Array, law: CompandingLaw): Uint8Array {
  const { encode } = tables[law];
  const codes = new Uint8Array(samples.length);
  for (let i = 0; i < samples.length; i++) codes[i] = encode[samples[i]! & 0xffff]!;
  return codes;
}

export function decodeG711(codes: Uint8Array, law: CompandingLaw): Int16Array {
  const { decode } = tables[law];
  const samples = new Int16Array(codes.length);
  for (let i = 0; i < codes.length; i++) samples[i] = decode[codes[i]!]!;
  return samples;
}
