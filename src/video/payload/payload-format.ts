/** An encoded frame on its way into packets. H.264: with start codes (Annex B). AV1: one temporal unit. */
export interface OutgoingFrame {
  data: Buffer;
  isKeyFrame: boolean;
  /** Counts the frames of this stream, from any start; written into the packets where the format has a place for it. */
  pictureId: number;
}

/** What the payload of one received RTP packet says of the frame that it is a part of. */
export interface PayloadPart {
  /** The frame begins with this packet. H.264 has no such mark: there it is a NAL unit that can only come first. */
  isFrameStart: boolean;
  /** A decoder can begin here. Known of the first packet of a frame; elsewhere false. */
  isKeyFrame: boolean;
  /** 0 is the base layer; undefined where the packet does not say. */
  temporalLayer?: number;
  spatialLayer?: number;
}

/** How encoded frames of one codec travel in RTP packets. */
export interface PayloadFormat {
  /** Cuts a frame into payloads of at most `maxBytes` each; the last one is to be sent with the marker bit. */
  packetize(frame: OutgoingFrame, maxBytes: number): Buffer[];
  /** The frame as receivers put it together, where that is not as the encoder made it: its head is authenticated. */
  forEncryption?(data: Buffer): Buffer;
  /** Once for each received packet. Undefined for a payload that is malformed. */
  parse(payload: Buffer): PayloadPart | undefined;
  /** Puts a frame together from all its payloads, in order. Undefined when they do not make one. */
  assemble(payloads: readonly Buffer[]): Buffer | undefined;
}

/** Cuts `data` into pieces of nearly the same size, none larger than `maxBytes`: no packet is a tiny remainder. */
export function evenPieces(data: Buffer, maxBytes: number): Buffer[] {
  const count = Math.max(1, Math.ceil(data.length / maxBytes));
  const pieces: Buffer[] = [];
  for (let index = 0; index < count; index++) {
    const begin = Math.floor((data.length * index) / count);
    pieces.push(data.subarray(begin, Math.floor((data.length * (index + 1)) / count)));
  }
  return pieces;
}

/** Joins what follows the descriptors of a frame's payloads; only the first may begin a frame. */
export function joinPieces(
  payloads: readonly Buffer[],
  parse: (payload: Buffer) => (PayloadPart & { length: number }) | undefined,
): Buffer | undefined {
  const pieces: Buffer[] = [];
  for (const [index, payload] of payloads.entries()) {
    const descriptor = parse(payload);
    if (!descriptor || descriptor.isFrameStart !== (index === 0)) return undefined;
    pieces.push(payload.subarray(descriptor.length));
  }
  return pieces.length > 0 ? Buffer.concat(pieces) : undefined;
}
