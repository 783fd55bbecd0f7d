import { tsnBefore } from './serial.js';

/** As TCP has it (RFC 6928): a message of a few kilobytes needs no second round trip. */
const initialPackets = 10;
const minPackets = 4;

/** Slow start, congestion avoidance and fast recovery (RFC 9260 section 7.2), in bytes of user data. */
export class CongestionWindow {
  readonly #packetBytes: number;
  #bytes: number;
  #slowStartThreshold = Number.POSITIVE_INFINITY;
  #partialBytesAcknowledged = 0;
  /** While in fast recovery, the highest TSN that was outstanding when it began. */
  #recoveryTsn: number | undefined;

  constructor(packetBytes: number) {
    this.#packetBytes = packetBytes;
    this.#bytes = initialPackets * packetBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isRecovering(): boolean {
    return this.#recoveryTsn !== undefined;
  }

  /** The cumulative TSN reached `cumulativeTsn`; the window was in full use before if `wasFull`. */
  acknowledge(cumulativeTsn: number, bytes: number, wasFull: boolean, isAllAcknowledged: boolean): void {
    if (this.#recoveryTsn !== undefined) {
      if (tsnBefore(cumulativeTsn, this.#recoveryTsn)) return;
      this.#recoveryTsn = undefined;
      return;
    }
    if (this.#bytes <= this.#slowStartThreshold) {
      // Two packets for an acknowledgement, because the peer acknowledges every second one (RFC 3465).
      if (wasFull) this.#bytes += Math.min(bytes, 2 * this.#packetBytes);
      return;
    }
    this.#partialBytesAcknowledged += bytes;
    if (this.#partialBytesAcknowledged >= this.#bytes && wasFull) {
      this.#partialBytesAcknowledged -= this.#bytes;
      this.#bytes += this.#packetBytes;
    }
    if (isAllAcknowledged) this.#partialBytesAcknowledged = 0;
  }

  /** Packets are missing. Returns whether that begins a recovery, and with it one retransmission at once. */
  lose(highestSentTsn: number): boolean {
    if (this.#recoveryTsn !== undefined) return false;
    this.#slowStartThreshold = Math.max(this.#bytes / 2, minPackets * this.#packetBytes);
    this.#bytes = this.#slowStartThreshold;
    this.#partialBytesAcknowledged = 0;
    this.#recoveryTsn = highestSentTsn;
    return true;
  }

  /** Nothing was acknowledged within the retransmission timeout. */
  timeOut(): void {
    this.#slowStartThreshold = Math.max(this.#bytes / 2, minPackets * this.#packetBytes);
    this.#bytes = this.#packetBytes;
    this.#partialBytesAcknowledged = 0;
    this.#recoveryTsn = undefined;
  }

  /** Nothing was sent for a while: the path may have changed. */
  restartAfterIdle(): void {
    this.#bytes = Math.min(this.#bytes, Math.max(this.#bytes / 2, initialPackets * this.#packetBytes));
  }
}
