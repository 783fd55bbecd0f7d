import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeG711, encodeG711, G722Decoder, G722Encoder } from '../../src/sip/media/index.js';
import { describeWith } from '../support/parts.js';

/** Two tones and noise: something of everything that a codec meets. */
function speechLike(samples: number, sampleRate: number): Int16Array {
  let seed = 1;
  const noise = () => {
    seed = (seed * 48_271) % 0x7fffffff;
    return seed / 0x7fffffff - 0.5;
  };
  return Int16Array.from({ length: samples }, (_, i) =>
    Math.round(
      8_000 * Math.sin((2 * Math.PI * 440 * i) / sampleRate) +
        4_000 * Math.sin((2 * Math.PI * 3_100 * i) / sampleRate) +
        3_000 * noise(),
    ),
  );
}

const samplesOf = (bytes: Buffer) => new Int16Array(bytes.buffer, bytes.byteOffset, bytes.length >> 1);

describeWith(['ffmpeg'], 'codecs beside a reference, sample by sample', () => {
  let folder = '';
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'offhook-codecs-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function convert(input: Uint8Array, from: string[], to: string[]): Buffer {
    writeFileSync(join(folder, 'in'), input);
    const args = ['-y', '-v', 'error', ...from, '-i', join(folder, 'in'), ...to, join(folder, 'out')];
    const { status, stderr } = spawnSync('ffmpeg', args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
    return readFileSync(join(folder, 'out'));
  }

  test.each([
    ['mu', 'mulaw'],
    ['a', 'alaw'],
  ] as const)('every code of G.711 (%s-law) decodes to the same sample', (law, format) => {
    const codes = Uint8Array.from({ length: 256 }, (_, code) => code);
    const reference = convert(codes, ['-f', format, '-ar', '8000', '-ac', '1'], ['-f', 's16le']);
    expect(decodeG711(codes, law)).toEqual(samplesOf(reference));
  });

  test('G.722 encodes to the same bytes and decodes to the same samples', () => {
    const samples = speechLike(32_000, 16_000);
    const codes = new G722Encoder().encode(samples);
    const input = new Uint8Array(samples.buffer);
    const encoded = convert(
      input,
      ['-f', 's16le', '-ar', '16000', '-ac', '1'],
      ['-c:a', 'g722', '-f', 'g722'],
    );
    expect(Buffer.from(codes).equals(encoded)).toBe(true);
    const decoded = convert(codes, ['-f', 'g722'], ['-f', 's16le', '-ar', '16000']);
    expect(new G722Decoder().decode(codes)).toEqual(samplesOf(decoded));
  });
});

describe('G.711', () => {
  test.each(['mu', 'a'] as const)('a code that is decoded and encoded again is itself (%s-law)', (law) => {
    const codes = Uint8Array.from({ length: 256 }, (_, code) => code);
    const again = encodeG711(decodeG711(codes, law), law);
    const changed = [...codes].filter((code) => again[code] !== code);
    // µ-law has two codes for zero.
    expect(changed).toEqual(law === 'mu' ? [0x7f] : []);
  });

  test.each([
    ['mu', 36],
    ['a', 36],
  ] as const)('a full-range tone keeps %s-law’s distance from its noise', (law, leastDb) => {
    const samples = Int16Array.from({ length: 8_000 }, (_, i) => Math.round(20_000 * Math.sin(i / 3)));
    const decoded = decodeG711(encodeG711(samples, law), law);
    let signal = 0;
    let noise = 0;
    for (let i = 0; i < samples.length; i++) {
      signal += samples[i]! ** 2;
      noise += (samples[i]! - decoded[i]!) ** 2;
    }
    expect(10 * Math.log10(signal / noise)).toBeGreaterThan(leastDb);
  });
});

describe('G.722', () => {
  test('what is cut into frames is coded as one stream', () => {
    const samples = speechLike(3_200, 16_000);
    const whole = new G722Encoder().encode(samples);
    const encoder = new G722Encoder();
    const parts = [0, 320, 640, 960].map((at) => encoder.encode(samples.subarray(at, at + 320)));
    expect(Buffer.concat(parts)).toEqual(Buffer.from(whole.subarray(0, 640)));
  });
});
