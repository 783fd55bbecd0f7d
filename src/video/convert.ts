import { type Picture, type PictureFormat, type Plane, packedPicture } from './picture.js';

/** Where red, green, blue and alpha lie in a pixel. */
interface PixelOrder {
  bytes: number;
  r: number;
  g: number;
  b: number;
  /** Undefined for opaque pixels of three bytes. */
  a: number | undefined;
}

const pixelOrders: Partial<Record<PictureFormat, PixelOrder>> = {
  rgba: { bytes: 4, r: 0, g: 1, b: 2, a: 3 },
  abgr: { bytes: 4, r: 3, g: 2, b: 1, a: 0 },
  argb: { bytes: 4, r: 1, g: 2, b: 3, a: 0 },
  bgra: { bytes: 4, r: 2, g: 1, b: 0, a: 3 },
  rgb24: { bytes: 3, r: 0, g: 1, b: 2, a: undefined },
};

const opaque = 255;

/**
 * The picture in another format, with planes that follow each other without gaps. Between RGB and YUV as ITU-R BT.601
 * has it, with luma from 16 to 235. Runs for every frame of a stream that asks for another format than the decoder's.
 */
export function convertPicture(picture: Picture, format: PictureFormat): Picture {
  const result = packedPicture(format, picture.width, picture.height);
  const from = pixelOrders[picture.format];
  const to = pixelOrders[format];
  if (picture.format === format) copyPlanes(picture, result);
  else if (from && to) reorder(picture, from, result, to);
  else if (to) planarToPixels(toPlanar(picture), result, to);
  else writePlanar(from ? pixelsToPlanar(picture, from, format) : toPlanar(picture), result);
  return result;
}

/** 8-bit planes, each sample of chroma for a block of 1 or 2 by 1 or 2 pixels. */
interface Planar {
  width: number;
  height: number;
  y: Plane;
  u: Plane;
  v: Plane;
  a: Plane | undefined;
}

function copyPlanes(from: Picture, to: Picture): void {
  for (const [index, plane] of from.planes.entries()) copyPlane(plane, to.planes[index] as Plane);
}

function copyPlane(from: Plane, to: Plane): void {
  const rowBytes = Math.min(from.rowBytes, to.rowBytes);
  for (let row = 0; row < to.rows; row++) {
    const start = from.offset + from.stride * row;
    to.bytes.set(from.bytes.subarray(start, start + rowBytes), to.offset + to.stride * row);
  }
}

function reorder(from: Picture, fromOrder: PixelOrder, to: Picture, toOrder: PixelOrder): void {
  const [source] = from.planes as [Plane];
  const [target] = to.planes as [Plane];
  for (let row = 0; row < from.height; row++) {
    let at = source.offset + source.stride * row;
    let out = target.offset + target.stride * row;
    for (let column = 0; column < from.width; column++) {
      target.bytes[out + toOrder.r] = source.bytes[at + fromOrder.r]!;
      target.bytes[out + toOrder.g] = source.bytes[at + fromOrder.g]!;
      target.bytes[out + toOrder.b] = source.bytes[at + fromOrder.b]!;
      if (toOrder.a !== undefined) {
        target.bytes[out + toOrder.a] = fromOrder.a === undefined ? opaque : source.bytes[at + fromOrder.a]!;
      }
      at += fromOrder.bytes;
      out += toOrder.bytes;
    }
  }
}

/** The planes of a YUV picture, of 8 bits a sample. Those that are so already are not copied. */
function toPlanar({ format, width, height, planes }: Picture): Planar {
  const [y, u, v, a] = planes as [Plane, Plane, Plane, Plane | undefined];
  if (format === 'nv12') {
    const [, u8, v8] = packedPicture('i420', width, height).planes as [Plane, Plane, Plane];
    for (let row = 0; row < u8.rows; row++) {
      const start = u.offset + u.stride * row;
      for (let column = 0; column < u8.rowBytes; column++) {
        u8.bytes[u8.offset + u8.stride * row + column] = u.bytes[start + 2 * column]!;
        v8.bytes[v8.offset + v8.stride * row + column] = u.bytes[start + 2 * column + 1]!;
      }
    }
    return { width, height, y, u: u8, v: v8, a: undefined };
  }
  if (format === 'i010') {
    const eight = packedPicture('i420', width, height);
    for (const [index, plane] of eight.planes.entries()) fromTenBits(planes[index] as Plane, plane);
    const [y8, u8, v8] = eight.planes as [Plane, Plane, Plane];
    return { width, height, y: y8, u: u8, v: v8, a: undefined };
  }
  return { width, height, y, u, v, a: format === 'i420a' ? a : undefined };
}

function fromTenBits(from: Plane, to: Plane): void {
  for (let row = 0; row < to.rows; row++) {
    const start = from.offset + from.stride * row;
    const out = to.offset + to.stride * row;
    for (let column = 0; column < to.rowBytes; column++) {
      const low = from.bytes[start + 2 * column]!;
      const high = from.bytes[start + 2 * column + 1]!;
      to.bytes[out + column] = Math.min(255, ((high << 8) | low) >> 2);
    }
  }
}

function toTenBits(from: Plane, to: Plane): void {
  for (let row = 0; row < to.rows; row++) {
    const start = from.offset + from.stride * row;
    const out = to.offset + to.stride * row;
    for (let column = 0; 2 * column < to.rowBytes; column++) {
      const value = from.bytes[start + column]! << 2;
      to.bytes[out + 2 * column] = value & 0xff;
      to.bytes[out + 2 * column + 1] = value >> 8;
    }
  }
}

function writePlanar(planar: Planar, { format, width, height, planes }: Picture): void {
  const [y, u, v, a] = planes as [Plane, Plane, Plane, Plane | undefined];
  if (format === 'i010') {
    const [, u8, v8] = packedPicture('i420', width, height).planes as [Plane, Plane, Plane];
    resample(planar.u, u8, width, height);
    resample(planar.v, v8, width, height);
    toTenBits(planar.y, y);
    toTenBits(u8, u);
    toTenBits(v8, v);
    return;
  }
  copyPlane(planar.y, y);
  if (format === 'nv12') {
    const [, u8, v8] = packedPicture('i420', width, height).planes as [Plane, Plane, Plane];
    resample(planar.u, u8, width, height);
    resample(planar.v, v8, width, height);
    for (let at = 0; at < u8.rows * u8.rowBytes; at++) {
      u.bytes[u.offset + 2 * at] = u8.bytes[u8.offset + at]!;
      u.bytes[u.offset + 2 * at + 1] = v8.bytes[v8.offset + at]!;
    }
    return;
  }
  resample(planar.u, u, width, height);
  resample(planar.v, v, width, height);
  if (!a) return;
  if (planar.a) copyPlane(planar.a, a);
  else a.bytes.fill(opaque, a.offset, a.offset + a.stride * a.rows);
}

/** One plane of chroma at another resolution: the mean of what falls together, the same for what is torn apart. */
function resample(from: Plane, to: Plane, width: number, height: number): void {
  if (from.rows === to.rows && from.rowBytes === to.rowBytes) {
    copyPlane(from, to);
    return;
  }
  const stepX = to.rowBytes < width ? 2 : 1;
  const stepY = to.rows < height ? 2 : 1;
  const fromShiftX = from.rowBytes < width ? 1 : 0;
  const fromShiftY = from.rows < height ? 1 : 0;
  for (let row = 0; row < to.rows; row++) {
    const first = (row * stepY) >> fromShiftY;
    const last = Math.min(from.rows - 1, (row * stepY + stepY - 1) >> fromShiftY);
    for (let column = 0; column < to.rowBytes; column++) {
      const left = (column * stepX) >> fromShiftX;
      const right = Math.min(from.rowBytes - 1, (column * stepX + stepX - 1) >> fromShiftX);
      const sum =
        from.bytes[from.offset + from.stride * first + left]! +
        from.bytes[from.offset + from.stride * first + right]! +
        from.bytes[from.offset + from.stride * last + left]! +
        from.bytes[from.offset + from.stride * last + right]!;
      to.bytes[to.offset + to.stride * row + column] = (sum + 2) >> 2;
    }
  }
}

function pixelsToPlanar(picture: Picture, { bytes, r, g, b, a }: PixelOrder, target: PictureFormat): Planar {
  const { width, height } = picture;
  const [source] = picture.planes as [Plane];
  const format = target === 'i422' || target === 'i444' ? target : 'i420a';
  const result = packedPicture(format, width, height);
  const [y, u, v, alpha] = result.planes as [Plane, Plane, Plane, Plane | undefined];
  const data = source.bytes;
  for (let row = 0; row < height; row++) {
    let at = source.offset + source.stride * row;
    let out = y.offset + y.stride * row;
    for (let column = 0; column < width; column++, at += bytes, out++) {
      y.bytes[out] = (66 * data[at + r]! + 129 * data[at + g]! + 25 * data[at + b]! + 0x1080) >> 8;
      if (alpha) {
        alpha.bytes[alpha.offset + alpha.stride * row + column] = a === undefined ? opaque : data[at + a]!;
      }
    }
  }
  const stepX = u.rowBytes < width ? 2 : 1;
  const stepY = u.rows < height ? 2 : 1;
  for (let row = 0; row < u.rows; row++) {
    const top = source.offset + source.stride * row * stepY;
    const bottom = source.offset + source.stride * Math.min(height - 1, row * stepY + stepY - 1);
    for (let column = 0; column < u.rowBytes; column++) {
      const left = bytes * column * stepX;
      const right = bytes * Math.min(width - 1, column * stepX + stepX - 1);
      const red =
        data[top + left + r]! + data[top + right + r]! + data[bottom + left + r]! + data[bottom + right + r]!;
      const green =
        data[top + left + g]! + data[top + right + g]! + data[bottom + left + g]! + data[bottom + right + g]!;
      const blue =
        data[top + left + b]! + data[top + right + b]! + data[bottom + left + b]! + data[bottom + right + b]!;
      u.bytes[u.offset + u.stride * row + column] = (112 * blue - 74 * green - 38 * red + 0x20200) >> 10;
      v.bytes[v.offset + v.stride * row + column] = (112 * red - 94 * green - 18 * blue + 0x20200) >> 10;
    }
  }
  return { width, height, y, u, v, a: alpha };
}

function planarToPixels({ width, height, y, u, v, a }: Planar, result: Picture, order: PixelOrder): void {
  const [target] = result.planes as [Plane];
  const shiftX = u.rowBytes < width ? 1 : 0;
  const shiftY = u.rows < height ? 1 : 0;
  // Clamps what it is given to 0 to 255, and rounds.
  const out = new Uint8ClampedArray(target.bytes.buffer, target.bytes.byteOffset, target.bytes.length);
  const luma = y.bytes;
  const { bytes, r, g, b } = order;
  for (let row = 0; row < height; row++) {
    const yRow = y.offset + y.stride * row;
    const uRow = u.offset + u.stride * (row >> shiftY);
    const vRow = v.offset + v.stride * (row >> shiftY);
    let at = target.offset + target.stride * row;
    for (let column = 0; column < width; column++, at += bytes) {
      const light = 298 * (luma[yRow + column]! - 16) + 128;
      const chroma = column >> shiftX;
      const blueness = u.bytes[uRow + chroma]! - 128;
      const redness = v.bytes[vRow + chroma]! - 128;
      out[at + r] = (light + 409 * redness) >> 8;
      out[at + g] = (light - 100 * blueness - 208 * redness) >> 8;
      out[at + b] = (light + 516 * blueness) >> 8;
    }
    if (order.a === undefined) continue;
    const alphaAt = target.offset + target.stride * row + order.a;
    for (let column = 0; column < width; column++) {
      out[alphaAt + bytes * column] = a ? a.bytes[a.offset + a.stride * row + column]! : opaque;
    }
  }
}
