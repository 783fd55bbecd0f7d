import { sequenceDifference } from '../../rtp/index.js';

/** Where a forwarded packet stands in the subscriber's stream. */
interface RewrittenPosition {
  sequenceNumber: number;
  timestamp: number;
}

/** From a sequence number of the source on: what is added to it. */
interface Shift {
  from: number;
  offset: number;
  /** It closes the gap of packets that were left out. */
  isGap: boolean;
}

const maxSequenceGap = 512;

/**
 * Makes one gapless RTP stream for a subscriber of whatever its publisher sends: sequence numbers go on when the
 * source changes or packets are left out, and losses and reordering upstream stay visible as they were.
 */
export class RtpRewriter {
  #clockRate: number;
  #source: number | undefined;
  /**
   * The newest last; of those before as many as late packets may need. A late packet keeps the number that was left for
   * it: another one would be a second packet under a number that is taken.
   */
  #shifts: Shift[] = [{ from: 0, offset: 0, isGap: false }];
  #timestampOffset = 0;
  #lastIn = 0;
  #lastOut: RewrittenPosition & { atMs: number };

  /** @param random 0 to 1, for the first sequence number and timestamp (RFC 3550, section 5.1). */
  constructor(clockRate: number, random: () => number = Math.random) {
    this.#clockRate = clockRate;
    this.#lastOut = {
      sequenceNumber: Math.floor(random() * 0x8000),
      timestamp: Math.floor(random() * 0xffffffff),
      atMs: Number.NaN,
    };
  }

  /** Undefined for a late packet that has no place any more: it was left out, or is older than what is remembered. */
  rewrite(
    ssrc: number,
    sequenceNumber: number,
    timestamp: number,
    nowMs: number,
  ): RewrittenPosition | undefined {
    const step = sequenceDifference(sequenceNumber, this.#lastIn);
    if (ssrc !== this.#source || Math.abs(step) > maxSequenceGap)
      this.#startAnew(sequenceNumber, timestamp, nowMs);
    this.#source = ssrc;
    const place = this.#placeOf(sequenceNumber);
    if (place === undefined) return undefined;
    const position = { sequenceNumber: place, timestamp: this.timestamp(timestamp) };
    if (sequenceDifference(sequenceNumber, this.#lastIn) >= 0) {
      this.#advance(sequenceNumber);
      this.#lastOut = { ...position, atMs: nowMs };
    }
    return position;
  }

  /** What it follows now. */
  get source(): number | undefined {
    return this.#source;
  }

  /** The position of a packet that no publisher has sent, right behind the last one; those after it make room. */
  insert(): RewrittenPosition {
    this.#shift((this.#lastIn + 1) & 0xffff, 1);
    const sequenceNumber = (this.#lastOut.sequenceNumber + 1) & 0xffff;
    this.#lastOut = { ...this.#lastOut, sequenceNumber };
    return { sequenceNumber, timestamp: this.#lastOut.timestamp };
  }

  /**
   * Leaves a packet out: those after it close the gap. For a late packet that is not possible any more: the result is the
   * position that was left for it, which must be filled or the subscriber will ask for it.
   */
  skip(ssrc: number, sequenceNumber: number, timestamp: number): RewrittenPosition | undefined {
    if (ssrc !== this.#source) return undefined;
    const step = sequenceDifference(sequenceNumber, this.#lastIn);
    if (step <= 0) {
      const place = step > -maxSequenceGap ? this.#placeOf(sequenceNumber) : undefined;
      return place === undefined
        ? undefined
        : { sequenceNumber: place, timestamp: this.timestamp(timestamp) };
    }
    this.#advance(sequenceNumber);
    this.#shift((sequenceNumber + 1) & 0xffff, -1);
    return undefined;
  }

  /** The subscriber's timestamp for one of the publisher's. */
  timestamp(timestamp: number): number {
    return (timestamp + this.#timestampOffset) >>> 0;
  }

  /** The number of a packet of the source; undefined where that was given to another. */
  #placeOf(sequenceNumber: number): number | undefined {
    for (let index = this.#shifts.length - 1; index >= 0; index--) {
      const { from, offset } = this.#shifts[index]!;
      if (sequenceDifference(sequenceNumber, from) < 0) continue;
      const place = (sequenceNumber + offset) & 0xffff;
      const next = this.#shifts[index + 1];
      const isTaken = next && sequenceDifference(place, (next.from + next.offset) & 0xffff) >= 0;
      return isTaken ? undefined : place;
    }
    return undefined;
  }

  #shift(from: number, by: 1 | -1): void {
    const last = this.#shifts.at(-1)!;
    const offset = (last.offset + by) & 0xffff;
    // Packets that are left out one behind the other are one shift.
    const isRun = by < 0 && last.isGap && sequenceDifference(from, last.from) === 1;
    if (isRun) this.#shifts.pop();
    this.#shifts.push({ from, offset, isGap: by < 0 });
  }

  #advance(sequenceNumber: number): void {
    this.#lastIn = sequenceNumber;
    const oldest = (sequenceNumber - maxSequenceGap) & 0xffff;
    while (this.#shifts[1] && sequenceDifference(oldest, this.#shifts[1].from) >= 0) this.#shifts.shift();
    const first = this.#shifts[0]!;
    if (sequenceDifference(oldest, first.from) > 0) first.from = oldest;
  }

  #startAnew(sequenceNumber: number, timestamp: number, nowMs: number): void {
    const elapsedMs = Number.isNaN(this.#lastOut.atMs) ? 0 : nowMs - this.#lastOut.atMs;
    const elapsedUnits = Math.max(1, Math.round((elapsedMs * this.#clockRate) / 1000));
    const offset = (this.#lastOut.sequenceNumber + 1 - sequenceNumber) & 0xffff;
    // What is older than the first packet of all may still come; the numbers before that of another source are taken.
    const from = this.#source === undefined ? (sequenceNumber - maxSequenceGap) & 0xffff : sequenceNumber;
    this.#shifts = [{ from, offset, isGap: false }];
    this.#timestampOffset = (this.#lastOut.timestamp + elapsedUnits - timestamp) >>> 0;
    this.#lastIn = sequenceNumber;
  }
}
