/** Makes a counter that wraps around (RTP sequence numbers and timestamps) one that goes on for ever. */
export class Unwrapper {
  #shift: number;
  #last: number | undefined;

  constructor(bits: 16 | 32) {
    this.#shift = 32 - bits;
  }

  /** The unwrapped value nearest to the last one. */
  unwrap(value: number): number {
    const unwrapped = this.#last === undefined ? value : this.#last + this.#difference(value);
    this.#last = unwrapped;
    return unwrapped;
  }

  /** As `unwrap`, but the next value is still compared with the one before. */
  peek(value: number): number {
    return this.#last === undefined ? value : this.#last + this.#difference(value);
  }

  #difference(value: number): number {
    return ((value - (this.#last! % 2 ** 32)) << this.#shift) >> this.#shift;
  }
}
