import { sequenceDifference } from '../../rtp/index.js';

/** Where a forwarded packet stands in the subscriber's stream. */
interface RewrittenPosition {
  sequenceNumber: number;
  timestamp: number;
}

const maxSequenceGap = 512;

/**
 * Makes one gapless RTP stream for a subscriber of whatever its publisher sends: sequence numbers go on when the
 * source changes or packets are left out, and losses and reordering upstream stay visible as they were.
 */
export class RtpRewriter {
  #clockRate: number;
  #source: number | undefined;
  #sequenceOffset = 0;
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

  rewrite(ssrc: number, sequenceNumber: number, timestamp: number, nowMs: number): RewrittenPosition {
    const step = sequenceDifference(sequenceNumber, this.#lastIn);
    if (ssrc !== this.#source || Math.abs(step) > maxSequenceGap)
      this.#startAnew(sequenceNumber, timestamp, nowMs);
    this.#source = ssrc;
    const position = {
      sequenceNumber: (sequenceNumber + this.#sequenceOffset) & 0xffff,
      timestamp: this.timestamp(timestamp),
    };
    if (sequenceDifference(sequenceNumber, this.#lastIn) >= 0) {
      this.#lastIn = sequenceNumber;
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
    this.#sequenceOffset = (this.#sequenceOffset + 1) & 0xffff;
    const sequenceNumber = (this.#lastOut.sequenceNumber + 1) & 0xffff;
    this.#lastOut = { ...this.#lastOut, sequenceNumber };
    return { sequenceNumber, timestamp: this.#lastOut.timestamp };
  }

  /** Leaves a packet out: those after it close the gap. */
  skip(ssrc: number, sequenceNumber: number): void {
    if (ssrc !== this.#source || sequenceDifference(sequenceNumber, this.#lastIn) <= 0) return;
    this.#lastIn = sequenceNumber;
    this.#sequenceOffset = (this.#sequenceOffset - 1) & 0xffff;
  }

  /** The subscriber's timestamp for one of the publisher's. */
  timestamp(timestamp: number): number {
    return (timestamp + this.#timestampOffset) >>> 0;
  }

  #startAnew(sequenceNumber: number, timestamp: number, nowMs: number): void {
    const elapsedMs = Number.isNaN(this.#lastOut.atMs) ? 0 : nowMs - this.#lastOut.atMs;
    const elapsedUnits = Math.max(1, Math.round((elapsedMs * this.#clockRate) / 1000));
    this.#sequenceOffset = (this.#lastOut.sequenceNumber + 1 - sequenceNumber) & 0xffff;
    this.#timestampOffset = (this.#lastOut.timestamp + elapsedUnits - timestamp) >>> 0;
    this.#lastIn = sequenceNumber;
  }
}
