/** The end of a frame that has a trailer: the length of all of it with every bit turned over, then these bytes. */
const magic = Buffer.from('LKTS');
const endBytes = 1 + magic.length;

/**
 * The last payload of a video frame without what its publisher has put behind the frame (packet trailer: a timestamp,
 * the frame's number, data of its own), for subscribers that would take it for a part of the picture.
 */
export function withoutTrailer(payload: Buffer): Buffer {
  if (payload.length < endBytes || !payload.subarray(-magic.length).equals(magic)) return payload;
  const trailerBytes = payload[payload.length - endBytes]! ^ 0xff;
  if (trailerBytes < endBytes || trailerBytes > payload.length) return payload;
  return payload.subarray(0, payload.length - trailerBytes);
}
