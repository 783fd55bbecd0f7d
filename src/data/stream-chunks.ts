import { wholeCharacterBytes } from './utf8.js';

/** Bytes of content in one chunk: with its header it fits the 16 KiB that every WebRTC stack takes. */
export const chunkBytes = 15_000;

export function* splitBytes(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
}

/**
 * Splits the UTF-8 of a text so that no chunk ends within a character: receivers may decode each chunk on its own. The
 * last chunk is what is left, also of bytes that are not UTF-8.
 */
export function* splitUtf8(bytes: Uint8Array): Generator<Uint8Array> {
  let at = 0;
  while (at < bytes.length) {
    const piece = bytes.subarray(at, at + chunkBytes);
    const isLast = at + piece.length === bytes.length;
    const end = at + (isLast ? piece.length : wholeCharacterBytes(piece));
    yield bytes.subarray(at, end);
    at = end;
  }
}
