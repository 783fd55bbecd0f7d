/** Packets that may arrive late and still count; libwebrtc keeps as many. A power of two. */
const windowSize = 1024;
const wordCount = windowSize / 32;

/**
 * Which of the last 1024 indices were received: packets of SRTP (RFC 3711 section 3.3.2), records of DTLS (RFC 6347
 * section 4.1.2.6). An index has up to 48 bits.
 */
export class ReplayWindow {
  /** The highest index received, -1 before the first. */
  highest = -1;
  /** Bit `index mod 1024` is set when `index` was received. */
  #received = new Uint32Array(wordCount);

  /** Whether `index` is neither a repetition nor too old. */
  isFresh(index: number): boolean {
    if (index > this.highest) return true;
    if (this.highest - index >= windowSize) return false;
    // Shifts and masks reduce an index modulo 2^32, which leaves its low ten bits as they are.
    return (this.#received[(index >>> 5) & (wordCount - 1)]! & (1 << (index & 31))) === 0;
  }

  /** Marks `index`, which is fresh and whose packet is authentic, as received. */
  add(index: number): void {
    if (index > this.highest) {
      if (index - this.highest >= windowSize || this.highest < 0) this.#received.fill(0);
      else
        for (let skipped = this.highest + 1; skipped < index; skipped++)
          this.#received[(skipped >>> 5) & (wordCount - 1)]! &= ~(1 << (skipped & 31));
      this.highest = index;
    }
    this.#received[(index >>> 5) & (wordCount - 1)]! |= 1 << (index & 31);
  }
}
