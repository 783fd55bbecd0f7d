import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { av1 } from '../../src/video/payload/av1.js';
import { h264, splitNalUnits } from '../../src/video/payload/h264.js';
import type { PayloadFormat } from '../../src/video/payload/payload-format.js';
import { vp8 } from '../../src/video/payload/vp8.js';
import { vp9 } from '../../src/video/payload/vp9.js';

const maxBytes = fc.integer({ min: 40, max: 1200 });
const body = fc.uint8Array({ minLength: 1, maxLength: 3000, size: 'max' }).map((bytes) => Buffer.from(bytes));

/** A VP8 frame whose header says whether it is a key frame. */
const vp8Frame = fc.tuple(body, fc.boolean()).map(([data, isKeyFrame]) => {
  data[0] = ((data[0] ?? 0) & ~1) | (isKeyFrame ? 0 : 1);
  return { data, isKeyFrame };
});

const anyFrame = fc.tuple(body, fc.boolean()).map(([data, isKeyFrame]) => ({ data, isKeyFrame }));

/** Bytes that hold no start code and end in no zero, as a NAL unit does. */
const nalBody = fc
  .array(fc.integer({ min: 1, max: 255 }), { minLength: 1, maxLength: 3000, size: 'max' })
  .map((bytes) => Buffer.from(bytes));
const startCode = Buffer.from([0, 0, 0, 1]);

const h264Frame = fc
  .tuple(fc.array(nalBody, { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([bodies, isKeyFrame]) => {
    const types = isKeyFrame ? [0x67, 0x68, 0x65] : [0x41];
    const units = [...types.slice(0, -1).map(() => bodies[0] as Buffer), ...bodies];
    const data = Buffer.concat(
      units.flatMap((unit, index) => [
        startCode,
        Buffer.from([types[index] ?? (types.at(-1) as number)]),
        unit,
      ]),
    );
    return { data, isKeyFrame };
  });

function obu(type: number, content: Buffer): Buffer {
  const size: number[] = [];
  let rest = content.length;
  do {
    size.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>= 7;
  } while (rest > 0);
  return Buffer.concat([Buffer.from([(type << 3) | 0x02, ...size]), content]);
}

const av1Frame = fc
  .tuple(fc.array(body, { minLength: 1, maxLength: 3 }), fc.boolean())
  .map(([bodies, isKeyFrame]) => ({
    data: Buffer.concat([
      ...(isKeyFrame ? [obu(1, Buffer.from([1, 2, 3]))] : []),
      ...bodies.map((content) => obu(6, content)),
    ]),
    isKeyFrame,
  }));

const formats: [string, PayloadFormat, fc.Arbitrary<{ data: Buffer; isKeyFrame: boolean }>][] = [
  ['VP8', vp8, vp8Frame],
  ['VP9', vp9, anyFrame],
  ['H.264', h264, h264Frame],
  ['AV1', av1, av1Frame],
];

describe.each(formats)('%s in RTP', (name, format, frames) => {
  test('comes out of its packets as it went in', () => {
    fc.assert(
      fc.property(frames, maxBytes, fc.nat(), (frame, limit, pictureId) => {
        const payloads = format.packetize({ ...frame, pictureId }, limit);
        expect(Math.max(...payloads.map(({ length }) => length))).toBeLessThanOrEqual(limit);
        expect(format.assemble(payloads)).toEqual(frame.data);
      }),
    );
  });

  test('tells a key frame by its first packet, and only by that', () => {
    fc.assert(
      fc.property(frames, maxBytes, (frame, limit) => {
        const [first, ...others] = format
          .packetize({ ...frame, pictureId: 7 }, limit)
          .map((payload) => format.parse(payload));
        expect(first?.isKeyFrame).toBe(frame.isKeyFrame);
        if (frame.isKeyFrame) expect(first?.isFrameStart).toBe(true);
        if (name.startsWith('VP')) {
          expect(first?.isFrameStart).toBe(true);
          expect(others.some((part) => part?.isFrameStart || part?.isKeyFrame)).toBe(false);
        }
      }),
    );
  });

  test('is no frame without its first or its last packet', () => {
    fc.assert(
      fc.property(frames, (frame) => {
        const payloads = format.packetize({ ...frame, pictureId: 7 }, 60);
        fc.pre(payloads.length > 2);
        const isWhole = (some: Buffer[]) => format.assemble(some)?.equals(frame.data) ?? false;
        expect(isWhole(payloads.slice(1))).toBe(false);
        expect(isWhole(payloads.slice(0, -1))).toBe(false);
      }),
    );
  });

  test('takes any bytes without throwing', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 5 }), (payloads) => {
        const buffers = payloads.map((bytes) => Buffer.from(bytes));
        for (const payload of buffers) format.parse(payload);
        format.assemble(buffers);
        format.packetize({ data: Buffer.concat(buffers), isKeyFrame: true, pictureId: 1 }, 50);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('descriptors of other senders', () => {
  test('VP8: picture id of 7 bits, TL0PICIDX, temporal layer', () => {
    const payload = Buffer.from([0x90, 0xe0, 0x11, 0x05, 0x80, 0x00, 0xaa]);
    expect(vp8.parse(payload)).toMatchObject({ isFrameStart: true, isKeyFrame: true, temporalLayer: 2 });
    expect(vp8.assemble([payload])).toEqual(Buffer.from([0x00, 0xaa]));
  });

  test('VP9: layer indices, references, a scalability structure', () => {
    // Picture id, layers (temporal 1, spatial 0), TL0PICIDX, structure with one layer of 320 x 180.
    const payload = Buffer.from([0xaa, 0x81, 0x01, 0x20, 0x09, 0x10, 1, 64, 0, 180, 0xaa]);
    expect(vp9.parse(payload)).toMatchObject({
      isFrameStart: true,
      isKeyFrame: true,
      temporalLayer: 1,
      spatialLayer: 0,
    });
    expect(vp9.assemble([payload])).toEqual(Buffer.from([0xaa]));
    // Flexible mode, predicted from two pictures.
    expect(vp9.parse(Buffer.from([0xd8, 0x05, 0x03, 0x04, 0xbb]))).toMatchObject({
      isFrameStart: true,
      isKeyFrame: false,
    });
  });

  test('H.264: parameter sets together in a STAP-A', () => {
    const aggregate = Buffer.from([0x78, 0, 2, 0x67, 0x42, 0, 2, 0x68, 0xce]);
    expect(h264.parse(aggregate)).toMatchObject({ isFrameStart: true, isKeyFrame: true });
    expect(splitNalUnits(h264.assemble([aggregate]) as Buffer)).toEqual([
      Buffer.from([0x67, 0x42]),
      Buffer.from([0x68, 0xce]),
    ]);
    expect(h264.assemble([Buffer.from([0x78, 0, 200, 0x67])])).toBeUndefined();
  });

  test('AV1: several OBUs in a packet, with sizes and without', () => {
    const sized = Buffer.from([0x00, 2, 0x08, 0xaa, 3, 0x30, 1, 2]);
    const counted = Buffer.from([0x20, 2, 0x08, 0xaa, 0x30, 1, 2]);
    const whole = Buffer.concat([obu(1, Buffer.from([0xaa])), obu(6, Buffer.from([1, 2]))]);
    expect(av1.assemble([sized])).toEqual(whole);
    expect(av1.assemble([counted])).toEqual(whole);
  });
});
