import { type Picture, type Plane, packedPicture } from './picture.js';

/**
 * An `i420` picture made smaller, at most to half its width and height. Each pixel is interpolated of the four around its
 * place. Runs for every frame and every lower layer of a simulcast.
 */
export function scalePicture(picture: Picture, width: number, height: number): Picture {
  const scaled = packedPicture('i420', width, height);
  for (const [index, plane] of scaled.planes.entries()) scalePlane(picture.planes[index] as Plane, plane);
  return scaled;
}

function scalePlane(from: Plane, to: Plane): void {
  if (from.rowBytes === 2 * to.rowBytes && from.rows === 2 * to.rows) halvePlane(from, to);
  else interpolatePlane(from, to);
}

function halvePlane(from: Plane, to: Plane): void {
  const source = from.bytes;
  const target = to.bytes;
  const { rowBytes, rows } = to;
  for (let row = 0; row < rows; row++) {
    let above = from.offset + from.stride * 2 * row;
    let below = above + from.stride;
    let out = to.offset + to.stride * row;
    for (const end = out + rowBytes; out < end; out++, above += 2, below += 2) {
      target[out] = (source[above]! + source[above + 1]! + source[below]! + source[below + 1]! + 2) >> 2;
    }
  }
}

/** Places between pixels in 128ths. */
const unit = 128;

function interpolatePlane(from: Plane, to: Plane): void {
  const columns = places(from.rowBytes, to.rowBytes);
  const rows = places(from.rows, to.rows);
  const source = from.bytes;
  for (let row = 0; row < to.rows; row++) {
    const [first, lowerShare] = rows[row]!;
    const above = from.offset + from.stride * first;
    const below = first + 1 < from.rows ? above + from.stride : above;
    const out = to.offset + to.stride * row;
    for (let column = 0; column < to.rowBytes; column++) {
      const [left, rightShare] = columns[column]!;
      const right = left + 1 < from.rowBytes ? left + 1 : left;
      const top = source[above + left]! * (unit - rightShare) + source[above + right]! * rightShare;
      const bottom = source[below + left]! * (unit - rightShare) + source[below + right]! * rightShare;
      to.bytes[out + column] = (top * (unit - lowerShare) + bottom * lowerShare + unit * (unit / 2)) >> 14;
    }
  }
}

/** For each sample of a row or column: the one before its place, and how far it is from it. */
function places(from: number, to: number): [number, number][] {
  return Array.from({ length: to }, (_, at) => {
    const place = Math.max(0, ((at + 0.5) * from) / to - 0.5);
    const first = Math.min(from - 1, Math.floor(place));
    return [first, Math.round((place - first) * unit)];
  });
}
