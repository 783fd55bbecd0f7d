import {
  evenPieces,
  joinPieces,
  type OutgoingFrame,
  type PayloadFormat,
  type PayloadPart,
} from './payload-format.js';

interface Descriptor extends PayloadPart {
  length: number;
  /** Flags as RFC 9628 has them; `spatialLayer` and `temporalLayer` are there where the stream has layers. */
  layers: Vp9Layers | undefined;
}

/** What a packet says of the layers of its picture. */
export interface Vp9Layers {
  spatial: number;
  temporal: number;
  /** B and E: the layer's frame begins, or ends, with this packet. */
  isStart: boolean;
  isEnd: boolean;
  /** P: it refers to pictures before it. */
  isPredicted: boolean;
  /** D: it refers to the spatial layer below, in the same picture. */
  usesLayerBelow: boolean;
  /** Not Z: the spatial layer above refers to it. */
  isUsedAbove: boolean;
  /** U: from here on higher temporal layers need nothing that came before and was higher than this one. */
  isSwitchingPoint: boolean;
  /** Of the scalability structure, where there is one: how many spatial layers, and their sizes if it has them. */
  structure: { spatialLayers: number; sizes: { width: number; height: number }[] } | undefined;
}

const maxReferences = 3;
/** Flags and the number of the picture; of a predicted one also that it refers to the one before. */
const writtenDescriptorBytes = { key: 3, predicted: 4 };
const refersToLast = 1 << 1;

/** The scalability structure that begins at `at` (RFC 9628, section 4.2.1), and its length. */
function readStructure(payload: Buffer, at: number) {
  const first = payload[at] ?? 0;
  let length = 1;
  const spatialLayers = (first >> 5) + 1;
  const sizes: { width: number; height: number }[] = [];
  if (first & 0x10) {
    for (let layer = 0; layer < spatialLayers && at + length + 4 <= payload.length; layer++, length += 4)
      sizes.push({
        width: payload.readUInt16BE(at + length),
        height: payload.readUInt16BE(at + length + 2),
      });
    length = 1 + 4 * spatialLayers;
  }
  if (first & 0x08) {
    const pictures = payload[at + length++] ?? 0;
    for (let picture = 0; picture < pictures; picture++) {
      length += 1 + (((payload[at + length] ?? 0) >> 2) & 0x03);
    }
  }
  return { length, structure: { spatialLayers, sizes } };
}

/** The payload descriptor (RFC 9628, section 4.2). */
function parseDescriptor(payload: Buffer): Descriptor | undefined {
  const first = payload[0];
  if (first === undefined) return undefined;
  const isPredicted = (first & 0x40) !== 0;
  const isFlexible = (first & 0x10) !== 0;
  const isLayerStart = (first & 0x08) !== 0;
  let length = 1;
  let indices: number | undefined;
  if (first & 0x80) length += (payload[length] ?? 0) & 0x80 ? 2 : 1;
  if (first & 0x20) {
    indices = payload[length++] ?? 0;
    if (!isFlexible) length++;
  }
  if (isFlexible && isPredicted) {
    let references = 0;
    let more = true;
    while (more && references++ < maxReferences) more = ((payload[length++] ?? 0) & 0x01) !== 0;
    if (more) return undefined;
  }
  const found = first & 0x02 ? readStructure(payload, length) : undefined;
  if (found) length += found.length;
  if (payload.length <= length) return undefined;
  const spatial = indices === undefined ? 0 : (indices >> 1) & 0x07;
  const isFrameStart = isLayerStart && spatial === 0;
  const part = { length, isFrameStart, isKeyFrame: isFrameStart && !isPredicted };
  if (indices === undefined) return { ...part, layers: undefined };
  const layers = {
    spatial,
    temporal: indices >> 5,
    isStart: isLayerStart,
    isEnd: (first & 0x04) !== 0,
    isPredicted,
    usesLayerBelow: (indices & 0x01) !== 0,
    isUsedAbove: (first & 0x01) === 0,
    isSwitchingPoint: (indices & 0x10) !== 0,
    structure: found?.structure,
  };
  return { ...part, temporalLayer: layers.temporal, spatialLayer: spatial, layers };
}

/** The layers of a packet of a stream that has several; undefined for other streams. */
export function vp9Layers(payload: Buffer): Vp9Layers | undefined {
  return parseDescriptor(payload)?.layers;
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
