/** Cuts samples into pieces of one length, without copying where a piece lies whole in the input. */
export class Chunker {
  readonly #size: number;
  #partial: Int16Array;
  #filled = 0;

  constructor(size: number) {
    this.#size = size;
    this.#partial = new Int16Array(size);
  }

  /** Whether no part of a piece is waiting. */
  get isEmpty(): boolean {
    return this.#filled === 0;
  }

  push(samples: Int16Array, emit: (piece: Int16Array) => void): void {
    let at = 0;
    while (at < samples.length) {
      const part = samples.subarray(at, at + this.#size - this.#filled);
      at += part.length;
      if (part.length === this.#size) {
        emit(part);
        continue;
      }
      this.#partial.set(part, this.#filled);
      this.#filled += part.length;
      if (this.#filled < this.#size) return;
      const whole = this.#partial;
      this.#partial = new Int16Array(this.#size);
      this.#filled = 0;
      emit(whole);
    }
  }
}
