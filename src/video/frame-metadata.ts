import type { VideoCodec } from './codec.js';
import { insertMetadataObu, takeMetadataObu } from './payload/av1.js';

/** What a publisher sends along with a picture. A field that is zero or empty is not sent. */
export interface FrameMetadata {
  /** Below 2^64: microseconds by a clock of the publisher's choice. */
  userTimestamp?: bigint | undefined;
  /** Below 2^32. */
  frameId?: number | undefined;
  /** As many bytes as `maxUserDataBytes` allows. */
  userData?: Uint8Array | undefined;
}

/*
 * LiveKit's packet trailer: fields of tag, length and value, with every bit inverted so that small numbers make no
 * start code of H.264, then the length of all of it in one byte, inverted too, and the magic bytes. It follows the encoded frame; in
 * AV1, whose frames are sequences of OBUs, it is the content of a metadata OBU. Encryption does not cover it.
 */
const magic = Buffer.from('LKTS');
const endBytes = 1 + magic.length;
const maxTrailerBytes = 255;
const fieldHeaderBytes = 2;
const tags = { userTimestamp: 1, frameId: 2, userData: 3 } as const;
const timestampBytes = 8;
const frameIdBytes = 4;
const h264StartCode = Buffer.of(0, 0, 1);

/** How many bytes of user data fit beside the other fields; more are left out. */
export function maxUserDataBytes({ userTimestamp, frameId }: FrameMetadata): number {
  const others =
    (userTimestamp ? fieldHeaderBytes + timestampBytes : 0) + (frameId ? fieldHeaderBytes + frameIdBytes : 0);
  return maxTrailerBytes - endBytes - others - fieldHeaderBytes;
}

/** Undefined where there is nothing to send. */
function buildTrailer(metadata: FrameMetadata): Buffer | undefined {
  const { userTimestamp, frameId, userData } = metadata;
  const fields: Buffer[] = [];
  const add = (tag: number, value: Buffer) => fields.push(Buffer.of(tag, value.length), value);
  if (userTimestamp) {
    const value = Buffer.alloc(timestampBytes);
    value.writeBigUInt64BE(BigInt.asUintN(64, userTimestamp));
    add(tags.userTimestamp, value);
  }
  if (frameId) {
    const value = Buffer.alloc(frameIdBytes);
    value.writeUInt32BE(frameId >>> 0);
    add(tags.frameId, value);
  }
  if (userData?.length && userData.length <= maxUserDataBytes(metadata))
    add(tags.userData, Buffer.from(userData.buffer, userData.byteOffset, userData.length));
  if (fields.length === 0) return undefined;
  const content = Buffer.concat([...fields, Buffer.of(0)]);
  content[content.length - 1] = content.length + magic.length;
  for (let at = 0; at < content.length; at++) content[at] = (content[at] as number) ^ 0xff;
  return Buffer.concat([content, magic]);
}

/** Bytes of the trailer that `data` ends with; 0 for none. */
export function trailerLength(data: Buffer): number {
  if (data.length < endBytes || !data.subarray(-magic.length).equals(magic)) return 0;
  const length = (data[data.length - endBytes] as number) ^ 0xff;
  return length >= endBytes && length <= data.length ? length : 0;
}

/** The fields of a whole trailer; unknown ones are passed over. Undefined where there is no known field. */
function parseTrailer(trailer: Buffer): FrameMetadata | undefined {
  const content = Buffer.from(trailer.subarray(0, trailer.length - endBytes));
  for (let at = 0; at < content.length; at++) content[at] = (content[at] as number) ^ 0xff;
  const metadata: FrameMetadata = {};
  let isKnown = false;
  for (let at = 0; at + fieldHeaderBytes <= content.length; ) {
    const tag = content[at];
    const length = content[at + 1] as number;
    const begin = at + fieldHeaderBytes;
    at = begin + length;
    if (at > content.length) break;
    if (tag === tags.userTimestamp && length === timestampBytes)
      metadata.userTimestamp = content.readBigUInt64BE(begin) || undefined;
    else if (tag === tags.frameId && length === frameIdBytes)
      metadata.frameId = content.readUInt32BE(begin) || undefined;
    else if (tag === tags.userData) metadata.userData = length > 0 ? content.subarray(begin, at) : undefined;
    else continue;
    isKnown = true;
  }
  return isKnown ? metadata : undefined;
}

/** The encoded frame with its metadata, once for each frame that has some. */
export function withMetadata(frame: Buffer, metadata: FrameMetadata, codec: VideoCodec): Buffer {
  const trailer = buildTrailer(metadata);
  // Inverted, `ff ff fe` is a start code: a frame of H.264 would be cut there.
  if (!trailer || (codec === 'h264' && trailer.includes(h264StartCode))) return frame;
  return codec === 'av1' ? insertMetadataObu(frame, trailer) : Buffer.concat([frame, trailer]);
}

/** Takes a received frame apart, once for each frame of a track whose publisher sends metadata. */
export function splitMetadata(
  frame: Buffer,
  codec: VideoCodec,
): { data: Buffer; metadata: FrameMetadata | undefined } {
  if (codec === 'av1') {
    let metadata: FrameMetadata | undefined;
    const data = takeMetadataObu(frame, (content) => {
      if (trailerLength(content) === content.length) metadata = parseTrailer(content);
      return metadata !== undefined;
    });
    return { data, metadata };
  }
  const length = trailerLength(frame);
  const metadata = length > 0 ? parseTrailer(frame.subarray(-length)) : undefined;
  return { data: metadata ? frame.subarray(0, -length) : frame, metadata };
}
