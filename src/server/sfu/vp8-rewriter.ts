/** The parts of a VP8 payload descriptor that count (RFC 7741, section 4.2): where they are and what they are. */
interface Counters {
  pictureIdAt: number;
  pictureId: number | undefined;
  isLong: boolean;
  tl0At: number;
  tl0: number | undefined;
}

function countersOf(payload: Buffer): Counters {
  const counters: Counters = {
    pictureIdAt: 0,
    pictureId: undefined,
    isLong: false,
    tl0At: 0,
    tl0: undefined,
  };
  const present = (payload[0] ?? 0) & 0x80 ? (payload[1] ?? 0) : 0;
  let at = 2;
  if (present & 0x80 && at < payload.length) {
    const isLong = (payload[at]! & 0x80) !== 0;
    if (at + (isLong ? 2 : 1) > payload.length) return counters;
    counters.pictureIdAt = at;
    counters.isLong = isLong;
    counters.pictureId = isLong ? payload.readUInt16BE(at) & 0x7fff : payload[at]!;
    at += isLong ? 2 : 1;
  }
  if (present & 0x40 && at < payload.length) {
    counters.tl0At = at;
    counters.tl0 = payload[at]!;
  }
  return counters;
}

/**
 * Makes the picture ids and base layer indices of VP8 go on where the layer of a simulcast changes: a decoder takes
 * older ones for frames that come late. Runs once for every packet of such a track to each subscriber.
 */
export class Vp8Rewriter {
  #source: number | undefined;
  #pictureIdOffset = 0;
  #tl0Offset = 0;
  #lastPictureId: number | undefined;
  #lastTl0: number | undefined;

  /** The payload as the subscriber gets it; `ssrc` is that of the layer. */
  rewrite(ssrc: number, payload: Buffer): Buffer {
    const { pictureIdAt, pictureId, isLong, tl0At, tl0 } = countersOf(payload);
    if (ssrc !== this.#source) {
      this.#source = ssrc;
      if (pictureId !== undefined && this.#lastPictureId !== undefined)
        this.#pictureIdOffset = this.#lastPictureId + 1 - pictureId;
      if (tl0 !== undefined && this.#lastTl0 !== undefined) this.#tl0Offset = this.#lastTl0 + 1 - tl0;
    }
    const isSame = this.#pictureIdOffset === 0 && this.#tl0Offset === 0;
    const rewritten = isSame ? payload : Buffer.from(payload);
    if (pictureId !== undefined) {
      const id = (pictureId + this.#pictureIdOffset) & (isLong ? 0x7fff : 0x7f);
      if (!isSame && isLong) rewritten.writeUInt16BE(0x8000 | id, pictureIdAt);
      else if (!isSame) rewritten[pictureIdAt] = id;
      this.#lastPictureId = id;
    }
    if (tl0 !== undefined) {
      const index = (tl0 + this.#tl0Offset) & 0xff;
      if (!isSame) rewritten[tl0At] = index;
      this.#lastTl0 = index;
    }
    return rewritten;
  }
}
