import {
  evenPieces,
  joinPieces,
  type OutgoingFrame,
  type PayloadFormat,
  type PayloadPart,
} from './payload-format.js';

interface Descriptor extends PayloadPart {
  length: number;
}

const maxReferences = 3;
/** Flags and the number of the picture; of a predicted one also that it refers to the one before. */
const writtenDescriptorBytes = { key: 3, predicted: 4 };
const refersToLast = 1 << 1;

/** Length of the scalability structure that begins at `at` (RFC 9628, section 4.2.1). */
function structureBytes(payload: Buffer, at: number): number {
  const first = payload[at] ?? 0;
  let length = 1;
  const spatialLayers = (first >> 5) + 1;
  if (first & 0x10) length += 4 * spatialLayers;
  if (first & 0x08) {
    const pictures = payload[at + length++] ?? 0;
    for (let picture = 0; picture < pictures; picture++) {
      length += 1 + (((payload[at + length] ?? 0) >> 2) & 0x03);
    }
  }
  return length;
}

/** The payload descriptor (RFC 9628, section 4.2). */
function parseDescriptor(payload: Buffer): Descriptor | undefined {
  const first = payload[0];
  if (first === undefined) return undefined;
  const isPredicted = (first & 0x40) !== 0;
  const isFlexible = (first & 0x10) !== 0;
  const isLayerStart = (first & 0x08) !== 0;
  let length = 1;
  let layers: { temporalLayer: number; spatialLayer: number } | undefined;
  if (first & 0x80) length += (payload[length] ?? 0) & 0x80 ? 2 : 1;
  if (first & 0x20) {
    const indices = payload[length++] ?? 0;
    layers = { temporalLayer: indices >> 5, spatialLayer: (indices >> 1) & 0x07 };
    if (!isFlexible) length++;
  }
  if (isFlexible && isPredicted) {
    let references = 0;
    let more = true;
    while (more && references++ < maxReferences) more = ((payload[length++] ?? 0) & 0x01) !== 0;
    if (more) return undefined;
  }
  if (first & 0x02) length += structureBytes(payload, length);
  if (payload.length <= length) return undefined;
  const isFrameStart = isLayerStart && (layers?.spatialLayer ?? 0) === 0;
  return { length, isFrameStart, isKeyFrame: isFrameStart && !isPredicted, ...layers };
}

/** VP9 (RFC 9628). What is sent has one layer; spatial layers that come are put together to one frame. */
export const vp9: PayloadFormat = {
  // In flexible mode: in the other, WebRTC drops pictures without the number of a temporal layer.
  packetize({ data, isKeyFrame, pictureId }: OutgoingFrame, maxBytes: number): Buffer[] {
    const descriptorBytes = isKeyFrame ? writtenDescriptorBytes.key : writtenDescriptorBytes.predicted;
    const pieces = evenPieces(data, maxBytes - descriptorBytes);
    return pieces.map((piece, index) => {
      const payload = Buffer.allocUnsafe(descriptorBytes + piece.length);
      const start = index === 0 ? 0x08 : 0;
      const end = index === pieces.length - 1 ? 0x04 : 0;
      payload[0] = 0x80 | (isKeyFrame ? 0 : 0x40) | 0x10 | start | end;
      payload.writeUInt16BE(0x8000 | (pictureId & 0x7fff), 1);
      if (!isKeyFrame) payload[3] = refersToLast;
      piece.copy(payload, descriptorBytes);
      return payload;
    });
  },

  parse: parseDescriptor,

  assemble: (payloads) => joinPieces(payloads, parseDescriptor),
};
