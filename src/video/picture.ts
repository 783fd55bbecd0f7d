import type { FrameMetadata } from './frame-metadata.js';

/**
 * How the pixels of a picture lie in memory. Those of RGB name their bytes in the order of addresses; those of YUV are
 * planar with 8 bits a sample, `i010` with 10 bits in two bytes (little endian), `nv12` with U and V interleaved.
 */
export type PictureFormat =
  | 'rgba'
  | 'abgr'
  | 'argb'
  | 'bgra'
  | 'rgb24'
  | 'i420'
  | 'i420a'
  | 'i422'
  | 'i444'
  | 'i010'
  | 'nv12';

/** Clockwise turn, in degrees, that makes a picture upright. */
export type Rotation = 0 | 90 | 180 | 270;

/** Rows of samples within `bytes`. */
export interface Plane {
  bytes: Uint8Array;
  /** Index of the first row's first byte. */
  offset: number;
  /** Bytes from one row to the next; negative where rows are read from the last to the first. */
  stride: number;
  /** Bytes of a row that are pixels. */
  rowBytes: number;
  rows: number;
}

export interface Picture {
  format: PictureFormat;
  width: number;
  height: number;
  planes: readonly Plane[];
}

/** A picture in a video stream or on its way into one. */
export interface VideoFrame {
  picture: Picture;
  /** Microseconds, on a clock of the track. */
  timestampUs: number;
  rotation: Rotation;
  metadata?: FrameMetadata | undefined;
}

/** What one plane holds for each pixel of a picture. */
interface PlaneLayout {
  /** 1: one column of samples for two columns of pixels. */
  shiftX: 0 | 1;
  shiftY: 0 | 1;
  sampleBytes: number;
}

const full = { shiftX: 0, shiftY: 0, sampleBytes: 1 } as const;
const quarter = { shiftX: 1, shiftY: 1, sampleBytes: 1 } as const;
const pixels = (sampleBytes: number): PlaneLayout[] => [{ ...full, sampleBytes }];

const layouts: Record<PictureFormat, readonly PlaneLayout[]> = {
  rgba: pixels(4),
  abgr: pixels(4),
  argb: pixels(4),
  bgra: pixels(4),
  rgb24: pixels(3),
  i420: [full, quarter, quarter],
  i420a: [full, quarter, quarter, full],
  i422: [full, { ...full, shiftX: 1 }, { ...full, shiftX: 1 }],
  i444: [full, full, full],
  i010: [
    { ...full, sampleBytes: 2 },
    { ...quarter, sampleBytes: 2 },
    { ...quarter, sampleBytes: 2 },
  ],
  nv12: [full, { ...quarter, sampleBytes: 2 }],
};

const half = (length: number, shift: 0 | 1) => (length + shift) >> shift;

/** Row length and count of each plane of a picture. */
export function planeSizes(
  format: PictureFormat,
  width: number,
  height: number,
): { rowBytes: number; rows: number }[] {
  return layouts[format].map(({ shiftX, shiftY, sampleBytes }) => ({
    rowBytes: half(width, shiftX) * sampleBytes,
    rows: half(height, shiftY),
  }));
}

/** Bytes of a picture whose planes follow each other without gaps. */
export function pictureBytes(format: PictureFormat, width: number, height: number): number {
  return planeSizes(format, width, height).reduce((sum, { rowBytes, rows }) => sum + rowBytes * rows, 0);
}

/** A picture whose planes follow each other without gaps in `bytes`, which is made when it is not given. */
export function packedPicture(
  format: PictureFormat,
  width: number,
  height: number,
  bytes: Uint8Array = new Uint8Array(pictureBytes(format, width, height)),
): Picture {
  let offset = 0;
  const planes = planeSizes(format, width, height).map(({ rowBytes, rows }) => {
    const plane = { bytes, offset, stride: rowBytes, rowBytes, rows };
    offset += rowBytes * rows;
    return plane;
  });
  return { format, width, height, planes };
}

/**
 * The bytes of a picture whose planes follow each other without gaps, which may be views of one memory; undefined for any
 * other.
 */
export function packedBytes({ planes }: Picture): Uint8Array | undefined {
  const [first] = planes;
  if (!first) return undefined;
  const { buffer } = first.bytes;
  const begin = first.bytes.byteOffset + first.offset;
  let end = begin;
  for (const { bytes, offset, stride, rowBytes, rows } of planes) {
    if (bytes.buffer !== buffer || bytes.byteOffset + offset !== end || stride !== rowBytes) return undefined;
    end += rowBytes * rows;
  }
  return new Uint8Array(buffer, begin, end - begin);
}

/** The same pixels, upside down. */
export function flipped(picture: Picture): Picture {
  const planes = picture.planes.map((plane) => ({
    ...plane,
    offset: plane.offset + plane.stride * (plane.rows - 1),
    stride: -plane.stride,
  }));
  return { ...picture, planes };
}
