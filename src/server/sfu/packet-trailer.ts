import { trailerLength } from '../../video/index.js';

/**
 * The last payload of a video frame without what its publisher has put behind the frame (packet trailer: a timestamp,
 * the frame's number, data of its own), for subscribers that would take it for a part of the picture.
 */
export function withoutTrailer(payload: Buffer): Buffer {
  return payload.subarray(0, payload.length - trailerLength(payload));
}
