import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { OpusDecoder } from '../../src/audio/opus-decoder.js';
import { OpusEncoder } from '../../src/audio/opus-encoder.js';
import { opusPacketSamples, tenMsToc } from '../../src/audio/opus-packet.js';
import { dominantFrequencyHz, levelDbfs, makeTone } from '../support/tone.js';

function encodeAll(samples: Int16Array, numChannels: 1 | 2 = 1, dtx = false): Uint8Array[] {
  const encoder = new OpusEncoder({ sampleRate: 48_000, numChannels, bitrateBps: 48_000, dtx });
  const packets: Uint8Array[] = [];
  for (let at = 0; at + 960 * numChannels <= samples.length; at += 960 * numChannels) {
    packets.push(Uint8Array.from(encoder.encode(samples.subarray(at, at + 960 * numChannels))));
  }
  encoder.close();
  return packets;
}

describe('Opus', () => {
  test.each([8_000, 16_000, 24_000, 48_000] as const)('a tone is decoded at %i Hz', (sampleRate) => {
    const { samples } = makeTone(1_000, 400, 48_000, -20);
    const decoder = new OpusDecoder(sampleRate, 1);
    const decoded = Int16Array.from(encodeAll(samples).flatMap((packet) => [...decoder.decode(packet)!]));
    decoder.close();
    expect(decoded).toHaveLength((sampleRate * 400) / 1_000);
    const steady = { samples: decoded.subarray(decoded.length / 4), sampleRate };
    expect(dominantFrequencyHz(steady)).toBe(1_000);
    expect(levelDbfs(steady.samples)).toBeCloseTo(-20, 0);
  });

  test('stereo keeps its channels', () => {
    const left = makeTone(500, 400, 48_000, -20).samples;
    const right = makeTone(1_500, 400, 48_000, -20).samples;
    const stereo = Int16Array.from({ length: left.length * 2 }, (_, i) => (i % 2 ? right : left)[i >> 1]!);
    const decoder = new OpusDecoder(48_000, 2);
    const decoded = encodeAll(stereo, 2).flatMap((packet) => [...decoder.decode(packet)!]);
    decoder.close();
    const channel = (which: number) => ({
      samples: Int16Array.from(decoded.filter((_, i) => i % 2 === which)).subarray(4_800),
      sampleRate: 48_000,
    });
    expect(dominantFrequencyHz(channel(0))).toBe(500);
    expect(dominantFrequencyHz(channel(1))).toBe(1_500);
  });

  test('with discontinuous transmission silence becomes packets of two bytes or less', () => {
    const packets = encodeAll(new Int16Array(48_000), 1, true);
    expect(packets.slice(15).filter((packet) => packet.length <= 2).length).toBeGreaterThan(25);
  });

  test('a lost tone goes on, and fades', () => {
    const { samples } = makeTone(440, 200, 48_000, -12);
    const decoder = new OpusDecoder(48_000, 1);
    expect(decoder.conceal()).toBeUndefined();
    for (const packet of encodeAll(samples)) decoder.decode(packet);
    const levels = Array.from({ length: 30 }, () => levelDbfs(decoder.conceal()!));
    decoder.close();
    expect(levels[0]).toBeGreaterThan(-16);
    expect(levels[29]).toBeLessThan(-35);
  });

  test('a codec that was closed is used again, without memory of what it did', () => {
    const { samples } = makeTone(440, 200, 48_000, -12);
    const first = encodeAll(samples);
    expect(encodeAll(samples)).toEqual(first);
    const decoder = new OpusDecoder(48_000, 1);
    for (const packet of first) decoder.decode(packet);
    decoder.close();
    const again = new OpusDecoder(48_000, 1);
    expect(again.conceal()).toBeUndefined();
    const silence = again.decode(encodeAll(new Int16Array(960))[0]!)!;
    again.close();
    expect(levelDbfs(silence)).toBeLessThan(-80);
  });

  test('any bytes are decoded or refused, never an exception', () => {
    const decoder = new OpusDecoder(48_000, 1);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (packet) => {
        const units = opusPacketSamples(packet);
        expect(units).toBeGreaterThanOrEqual(0);
        expect(units).toBeLessThanOrEqual(5_760);
        const decoded = decoder.decode(packet);
        if (decoded) expect(decoded.length).toBe(units);
      }),
      { numRuns: 1_000 },
    );
    decoder.close();
  });

  test('the first byte tells how long a packet is', () => {
    const encoder = new OpusEncoder({ sampleRate: 48_000, numChannels: 1, bitrateBps: 32_000, dtx: false });
    expect(opusPacketSamples(encoder.encode(new Int16Array(960)))).toBe(960);
    expect(opusPacketSamples(encoder.encode(new Int16Array(480)))).toBe(480);
    expect(opusPacketSamples(encoder.encode(new Int16Array(2_880)))).toBe(2_880);
    encoder.close();
    for (let toc = 0; toc < 256; toc++) expect(opusPacketSamples(Uint8Array.of(tenMsToc(toc)))).toBe(480);
  });
});
