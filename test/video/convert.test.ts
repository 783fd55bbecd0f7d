import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { convertPicture } from '../../src/video/convert.js';
import {
  flipped,
  type Picture,
  type PictureFormat,
  packedBytes,
  packedPicture,
  pictureBytes,
} from '../../src/video/picture.js';

const rgb: PictureFormat[] = ['rgba', 'abgr', 'argb', 'bgra', 'rgb24'];
const yuv: PictureFormat[] = ['i420', 'i420a', 'i422', 'i444', 'i010', 'nv12'];
const formats = [...rgb, ...yuv];
const side = fc.integer({ min: 1, max: 33 });

function noise(format: PictureFormat, width: number, height: number, seed: number): Picture {
  const bytes = new Uint8Array(pictureBytes(format, width, height));
  let state = seed;
  for (let at = 0; at < bytes.length; at++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[at] = state >>> 24;
    // Of 10 bits in two bytes, the upper byte holds two.
    if (format === 'i010' && at % 2 === 1) bytes[at]! &= 3;
  }
  return packedPicture(format, width, height, bytes);
}

const solid = (width: number, height: number, pixel: number[]) => {
  const picture = packedPicture('rgba', width, height);
  const bytes = packedBytes(picture)!;
  for (let at = 0; at < bytes.length; at++) bytes[at] = pixel[at % 4]!;
  return picture;
};

describe('a picture', () => {
  test('of any size comes out of every conversion whole, upside down or not', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...formats),
        fc.constantFrom(...formats),
        side,
        side,
        fc.boolean(),
        (from, to, width, height, flip) => {
          const picture = noise(from, width, height, width * 31 + height);
          const converted = convertPicture(flip ? flipped(picture) : picture, to);
          expect(converted).toMatchObject({ format: to, width, height });
          expect(packedBytes(converted)).toHaveLength(pictureBytes(to, width, height));
        },
      ),
    );
  });

  test('is the same after it was flipped twice, or sent through another order of bytes', () => {
    fc.assert(
      fc.property(fc.constantFrom(...formats), side, side, (format, width, height) => {
        const picture = noise(format, width, height, 7);
        const twice = convertPicture(flipped(convertPicture(flipped(picture), format)), format);
        expect(packedBytes(twice)).toEqual(packedBytes(picture));
      }),
    );
    for (const format of rgb.filter((each) => each !== 'rgb24')) {
      const picture = noise('rgba', 5, 3, 11);
      const back = convertPicture(convertPicture(picture, format), 'rgba');
      expect(packedBytes(back)).toEqual(packedBytes(picture));
    }
  });

  test('of one colour keeps it through every YUV format, alpha and all', () => {
    const pixel = [200, 90, 30, 255];
    for (const format of yuv) {
      const back = packedBytes(convertPicture(convertPicture(solid(7, 5, pixel), format), 'rgba'))!;
      for (const [at, value] of back.entries()) {
        expect(Math.abs(value - pixel[at % 4]!), `${format} at ${at}`).toBeLessThanOrEqual(3);
      }
    }
    const translucent = convertPicture(convertPicture(solid(4, 4, [9, 9, 9, 77]), 'i420a'), 'bgra');
    expect(packedBytes(translucent)![3]).toBe(77);
  });

  test('of 10 bits or interleaved chroma loses nothing that 8 bits hold', () => {
    const picture = noise('i420', 9, 7, 3);
    for (const format of ['nv12', 'i010', 'i420a'] as const) {
      const back = convertPicture(convertPicture(picture, format), 'i420');
      expect(packedBytes(back), format).toEqual(packedBytes(picture));
    }
  });

  test('without gaps is not copied, also where each plane is a view of its own', () => {
    const packed = noise('i420', 6, 4, 5);
    const whole = packedBytes(packed)!;
    const planes = packed.planes.map((plane) => {
      const bytes = plane.bytes.subarray(plane.offset, plane.offset + plane.rowBytes * plane.rows);
      return { ...plane, bytes, offset: 0 };
    });
    const bytes = packedBytes({ ...packed, planes })!;
    expect([bytes.buffer, bytes.byteOffset, bytes.length]).toEqual([
      whole.buffer,
      whole.byteOffset,
      whole.length,
    ]);
    expect(bytes.buffer).toBe(whole.buffer);
    expect(packedBytes({ ...packed, planes: [planes[0]!, planes[2]!, planes[1]!] })).toBe(undefined);
    const elsewhere = { ...planes[2]!, bytes: planes[2]!.bytes.slice() };
    expect(packedBytes({ ...packed, planes: [planes[0]!, planes[1]!, elsewhere] })).toBe(undefined);
  });

  test('is read at the strides of its planes', () => {
    const packed = noise('i420', 6, 4, 5);
    const planes = packed.planes.map((plane) => {
      const stride = plane.rowBytes + 5;
      const bytes = new Uint8Array(stride * plane.rows).fill(99);
      for (let row = 0; row < plane.rows; row++) {
        const start = plane.offset + plane.stride * row;
        bytes.set(plane.bytes.subarray(start, start + plane.rowBytes), stride * row);
      }
      return { ...plane, bytes, offset: 0, stride };
    });
    const padded = { ...packed, planes };
    expect(packedBytes(padded)).toBeUndefined();
    for (const format of formats) {
      expect(packedBytes(convertPicture(padded, format))).toEqual(
        packedBytes(convertPicture(packed, format)),
      );
    }
  });
});
