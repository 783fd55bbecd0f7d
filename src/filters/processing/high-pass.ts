const cutoffHz = 100;

/** A Butterworth high-pass of second order at 100 Hz for one channel: takes rumble and direct current away. */
export class HighPass {
  #b0: number;
  #a1: number;
  #a2: number;
  #x1 = 0;
  #x2 = 0;
  #y1 = 0;
  #y2 = 0;

  constructor(sampleRate: number) {
    const k = Math.tan((Math.PI * cutoffHz) / sampleRate);
    const norm = 1 / (1 + Math.SQRT2 * k + k * k);
    this.#b0 = norm;
    this.#a1 = 2 * (k * k - 1) * norm;
    this.#a2 = (1 - Math.SQRT2 * k + k * k) * norm;
  }

  /** Filters every `step`th sample of `samples` from `first` on, in place. */
  process(samples: Float64Array, first: number, step: number): void {
    for (let i = first; i < samples.length; i += step) {
      const x = samples[i]!;
      const y = this.#b0 * (x - 2 * this.#x1 + this.#x2) - this.#a1 * this.#y1 - this.#a2 * this.#y2;
      this.#x2 = this.#x1;
      this.#x1 = x;
      this.#y2 = this.#y1;
      this.#y1 = y;
      samples[i] = y;
    }
  }
}
