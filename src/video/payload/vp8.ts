import {
  evenPieces,
  joinPieces,
  type OutgoingFrame,
  type PayloadFormat,
  type PayloadPart,
} from './payload-format.js';

interface Descriptor extends PayloadPart {
  /** Bytes before the frame's own. */
  length: number;
}

/** Extended bit, start of a partition; then: a picture id follows; then its 15 bits. */
const writtenDescriptorBytes = 4;

/** The payload descriptor (RFC 7741, section 4.2). */
function parseDescriptor(payload: Buffer): Descriptor | undefined {
  const first = payload[0];
  if (first === undefined) return undefined;
  let length = 1;
  let temporalLayer: number | undefined;
  if (first & 0x80) {
    const present = payload[length++] ?? 0;
    if (present & 0x80) length += (payload[length] ?? 0) & 0x80 ? 2 : 1;
    if (present & 0x40) length++;
    if (present & 0x30) {
      if (present & 0x20) temporalLayer = (payload[length] ?? 0) >> 6;
      length++;
    }
  }
  if (payload.length <= length) return undefined;
  const isFrameStart = (first & 0x10) !== 0 && (first & 0x07) === 0;
  // The first bit of the frame's header says whether it needs others (section 4.3).
  const isKeyFrame = isFrameStart && ((payload[length] ?? 0) & 0x01) === 0;
  return { length, isFrameStart, isKeyFrame, ...(temporalLayer === undefined ? {} : { temporalLayer }) };
}

/** VP8 (RFC 7741). */
export const vp8: PayloadFormat = {
  packetize({ data, pictureId }: OutgoingFrame, maxBytes: number): Buffer[] {
    return evenPieces(data, maxBytes - writtenDescriptorBytes).map((piece, index) => {
      const payload = Buffer.allocUnsafe(writtenDescriptorBytes + piece.length);
      payload[0] = 0x80 | (index === 0 ? 0x10 : 0);
      payload[1] = 0x80;
      payload.writeUInt16BE(0x8000 | (pictureId & 0x7fff), 2);
      piece.copy(payload, writtenDescriptorBytes);
      return payload;
    });
  },

  parse: parseDescriptor,

  assemble: (payloads) => joinPieces(payloads, parseDescriptor),
};
