/**
 * G.722 at 64 kbit/s (ITU-T G.722): 16 kHz audio split by a quadrature mirror filter into two bands, each coded by
 * adaptive differential pulse code modulation, 6 bits for the lower band and 2 for the upper.
 */

/** Coefficients of the quadrature mirror filter (clause 3.1), one of its two symmetric halves. */
const mirrorFilter = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11] as const;

/** Decision levels of the lower band's quantizer (table 7). */
const decisionLevels = [
  0, 35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121, 1219,
  1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919,
] as const;
/** Codes of the lower band by decision interval, for negative and positive differences. */
const negativeCodes = [
  0, 63, 62, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7,
  6, 5, 4,
] as const;
const positiveCodes = [
  0, 61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42, 41, 40, 39, 38, 37, 36,
  35, 34, 33, 32,
] as const;

/** Inverse quantizers: 4 bits of the lower band for prediction, all 6 for output, 2 of the upper band. */
const inverse4 = [
  0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0,
] as const;
const inverse6 = [
  -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360,
  -8576, -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688,
  -1360, -1040, -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856, 7192,
  6576, 6000, 5456, 4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432,
  -136,
] as const;
const inverse2 = [-7408, -1616, 7408, 1616] as const;

/** Adaptation of the quantizers' scale, by code. */
const lowerSteps = [-60, -30, 58, 172, 334, 538, 1198, 3042] as const;
const lowerStepOf = [0, 7, 6, 5, 4, 3, 2, 1, 7, 6, 5, 4, 3, 2, 1, 0] as const;
const upperSteps = [0, -214, 798] as const;
const upperStepOf = [2, 1, 2, 1] as const;
const inverseLog = [
  2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896, 2960,
  3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
] as const;

const saturate = (value: number): number => (value > 32_767 ? 32_767 : Math.max(value, -32_768));

/** The adaptive predictor and quantizer scale of one band (clauses 3.5 and 3.6). */
class Band {
  /** Signal estimate. */
  s = 0;
  /** Quantizer scale factor. */
  det: number;
  #sp = 0;
  #sz = 0;
  #logScale = 0;
  readonly #r = [0, 0, 0];
  readonly #a = [0, 0, 0];
  readonly #p = [0, 0, 0];
  readonly #d = [0, 0, 0, 0, 0, 0, 0];
  readonly #b = [0, 0, 0, 0, 0, 0, 0];

  constructor(initialScale: number) {
    this.det = initialScale;
  }

  adaptScale(step: number, maximum: number, shift: number): void {
    const decayed = ((this.#logScale * 127) >> 7) + step;
    this.#logScale = decayed < 0 ? 0 : Math.min(decayed, maximum);
    const index = (this.#logScale >> 6) & 31;
    const exponent = shift - (this.#logScale >> 11);
    const mantissa = inverseLog[index]!;
    this.det = (exponent < 0 ? mantissa << -exponent : mantissa >> exponent) << 2;
  }

  /** Takes the quantized difference and predicts the next sample. */
  predict(difference: number): void {
    const r = this.#r;
    const a = this.#a;
    const p = this.#p;
    const d = this.#d;
    const b = this.#b;
    d[0] = difference;
    r[0] = saturate(this.s + difference);
    p[0] = saturate(this.#sz + difference);
    const sign0 = p[0] >> 15;
    const sign1 = p[1]! >> 15;
    const sign2 = p[2]! >> 15;
    // Second pole.
    const scaled = saturate(a[1]! << 2);
    let change = sign0 === sign1 ? -scaled : scaled;
    if (change > 32_767) change = 32_767;
    let second = (change >> 7) + (sign0 === sign2 ? 128 : -128);
    second += (a[2]! * 32_512) >> 15;
    second = second > 12_288 ? 12_288 : Math.max(second, -12_288);
    // First pole.
    const limit = saturate(15_360 - second);
    let first = saturate((sign0 === sign1 ? 192 : -192) + ((a[1]! * 32_640) >> 15));
    first = first > limit ? limit : Math.max(first, -limit);
    // Zeros.
    const step = difference === 0 ? 0 : 128;
    const sign = difference >> 15;
    for (let i = 1; i < 7; i++) {
      const direction = d[i]! >> 15 === sign ? step : -step;
      b[i] = saturate(direction + ((b[i]! * 32_640) >> 15));
    }
    for (let i = 6; i > 0; i--) d[i] = d[i - 1]!;
    for (let i = 2; i > 0; i--) {
      r[i] = r[i - 1]!;
      p[i] = p[i - 1]!;
    }
    a[1] = first;
    a[2] = second;
    this.#sp = saturate(
      ((first * saturate(r[1]! + r[1]!)) >> 15) + ((second * saturate(r[2]! + r[2]!)) >> 15),
    );
    let zeros = 0;
    for (let i = 6; i > 0; i--) zeros += (b[i]! * saturate(d[i]! + d[i]!)) >> 15;
    this.#sz = saturate(zeros);
    this.s = saturate(this.#sp + this.#sz);
  }

  takeLower(code: number): void {
    const four = code >> 2;
    const difference = (this.det * inverse4[four]!) >> 15;
    this.adaptScale(lowerSteps[lowerStepOf[four]!]!, 18_432, 8);
    this.predict(difference);
  }

  takeUpper(code: number): number {
    const difference = (this.det * inverse2[code]!) >> 15;
    this.adaptScale(upperSteps[upperStepOf[code]!]!, 22_528, 10);
    const sample = this.s + difference;
    this.predict(difference);
    return sample;
  }
}

/** Encodes 16 kHz samples to one byte for every two. */
export class G722Encoder {
  readonly #lower = new Band(32);
  readonly #upper = new Band(8);
  readonly #history = new Int32Array(24);

  /** @param samples an even number of them */
  encode(samples: Int16Array): Uint8Array {
    const codes = new Uint8Array(samples.length >> 1);
    const history = this.#history;
    for (let i = 0; i < codes.length; i++) {
      history.copyWithin(0, 2);
      history[22] = samples[2 * i]!;
      history[23] = samples[2 * i + 1]!;
      let odd = 0;
      let even = 0;
      for (let tap = 0; tap < 12; tap++) {
        odd += history[2 * tap]! * mirrorFilter[tap]!;
        even += history[2 * tap + 1]! * mirrorFilter[11 - tap]!;
      }
      codes[i] = (this.#encodeUpper((even - odd) >> 14) << 6) | this.#encodeLower((even + odd) >> 14);
    }
    return codes;
  }

  #encodeLower(sample: number): number {
    const band = this.#lower;
    const difference = saturate(sample - band.s);
    const magnitude = difference >= 0 ? difference : ~difference;
    let interval = 1;
    while (interval < 30 && magnitude >= (decisionLevels[interval]! * band.det) >> 12) interval++;
    const code = difference < 0 ? negativeCodes[interval]! : positiveCodes[interval]!;
    band.takeLower(code);
    return code;
  }

  #encodeUpper(sample: number): number {
    const band = this.#upper;
    const difference = saturate(sample - band.s);
    const magnitude = difference >= 0 ? difference : ~difference;
    const isLarge = magnitude >= (564 * band.det) >> 12;
    const code = difference < 0 ? (isLarge ? 0 : 1) : isLarge ? 2 : 3;
    band.takeUpper(code);
    return code;
  }
}

/** Decodes bytes to two 16 kHz samples each. */
export class G722Decoder {
  readonly #lower = new Band(32);
  readonly #upper = new Band(8);
  readonly #history = new Int32Array(24);

  decode(codes: Uint8Array): Int16Array {
    const samples = new Int16Array(codes.length * 2);
    const history = this.#history;
    for (let i = 0; i < codes.length; i++) {
      const low = this.#decodeLower(codes[i]! & 0x3f);
      const high = clip15(this.#upper.takeUpper(codes[i]! >> 6));
      history.copyWithin(0, 2);
      history[22] = low + high;
      history[23] = low - high;
      let even = 0;
      let odd = 0;
      for (let tap = 0; tap < 12; tap++) {
        even += history[2 * tap]! * mirrorFilter[tap]!;
        odd += history[2 * tap + 1]! * mirrorFilter[11 - tap]!;
      }
      samples[2 * i] = saturate(odd >> 11);
      samples[2 * i + 1] = saturate(even >> 11);
    }
    return samples;
  }

  #decodeLower(code: number): number {
    const band = this.#lower;
    const sample = clip15(band.s + ((band.det * inverse6[code]!) >> 15));
    band.takeLower(code);
    return sample;
  }
}

/** Samples of a band have 15 bits. */
const clip15 = (value: number): number => (value > 16_383 ? 16_383 : Math.max(value, -16_384));
