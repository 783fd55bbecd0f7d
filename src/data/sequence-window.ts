/** How far behind the highest number one may come and still be told from one that came twice. */
const size = 8_192;

/** Which of the latest sequence numbers have been seen. */
export class SequenceWindow {
  #seen = new Uint8Array(size);
  #highest = 0;

  /** The highest number seen; 0 before the first. */
  get highest(): number {
    return this.#highest;
  }

  /** Marks a number as seen; false when it was, or when it is too old to tell. */
  add(sequence: number): boolean {
    if (sequence <= this.#highest - size) return false;
    if (sequence > this.#highest) {
      const from = Math.max(this.#highest + 1, sequence - size + 1);
      for (let skipped = from; skipped <= sequence; skipped++) this.#seen[skipped % size] = 0;
      this.#highest = sequence;
    } else if (this.#seen[sequence % size]) return false;
    this.#seen[sequence % size] = 1;
    return true;
  }
}
