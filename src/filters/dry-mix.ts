const frameSamples = 480;
/** RNNoise's output is late by this many frames. */
const delayFrames = 2;
/** Nothing is mixed at a ratio of speech to noise below the first, and nothing of RNNoise's is left above the second. */
const shareFromDb = 10;
const shareToDb = 26;
/** The same for how far a frame stands out of the noise, and for RNNoise's probability of speech. */
const frameFromDb = 6;
const frameToDb = 12;
const voiceFrom = 0.2;
const voiceTo = 0.6;
/** And for how far below what went in that lies which RNNoise takes away: noise that has just begun is seen by it first. */
const takenFromDb = 11;
const takenToDb = 16;
const takenPace = 0.07;
/** The noise is the least of the last three to four seconds; the least of a noise that varies is below its mean. */
const blockFrames = 100;
const blocks = 3;
const leastToMean = 1.5;
const smoothing = 0.3;
/** A frame this much above the noise counts as speech. */
const speechRatio = 8;
const levelPace = 0.02;

const decibels = (ratio: number) => 10 * Math.log10(ratio);
/** 0 below `from`, 1 above `to`, and straight in between. */
const ramp = (value: number, from: number, to: number) =>
  Math.max(0, Math.min(1, (value - from) / (to - from)));

/**
 * Leaves speech alone where there is little noise. RNNoise changes all speech a little (its own error is some 20 to 25 dB
 * below it), which is a gain in loud noise and a loss in faint noise. So where the noise is faint, what it makes of
 * speech is mixed with what went in; in pauses it does what it does.
 */
export class DryMix {
  /** RNNoise's high-pass, which is in its output and must be in what is mixed with it. */
  #highPass = [0, 0];
  /** What went in: this frame and those that RNNoise still holds, newest first; power and probability of speech too. */
  #frames = Array.from({ length: delayFrames + 1 }, () => ({
    samples: new Float64Array(frameSamples),
    power: 0,
    voice: 0,
  }));
  #smoothPower = 0;
  /** Least power of the last blocks, newest first; the first is not over. */
  #least: number[] = [Number.POSITIVE_INFINITY];
  #framesSeen = 0;
  #speechPower = 0;
  /** Power of what goes in and of what RNNoise takes from it, over the last 0.2 s or so. */
  #dryPower = 0;
  #takenPower = 0;
  #share = 0;

  /** Takes what RNNoise is about to get: 10 ms at 48 kHz in the range of 16 bits. */
  take(samples: Float32Array): void {
    const frame = this.#frames.pop()!;
    this.#frames.unshift(frame);
    let [z1, z2] = this.#highPass as [number, number];
    let sum = 0;
    for (let i = 0; i < frameSamples; i++) {
      const x = samples[i]!;
      const y = x + z1;
      z1 = z2 - 2 * x + 1.99599 * y;
      z2 = x - 0.996 * y;
      frame.samples[i] = y;
      sum += y * y;
    }
    this.#highPass = [z1, z2];
    frame.power = sum / frameSamples;
    this.#follow(frame.power);
  }

  /** @param samples what RNNoise made of it, changed in place; @param voice its probability of speech, 0 to 1 */
  mix(samples: Float32Array, voice: number): void {
    this.#frames[0]!.voice = voice;
    const dry = this.#frames.at(-1)!.samples;
    this.#compare(dry, samples);
    const share = this.#shareOfDry();
    const step = (share - this.#share) / frameSamples;
    for (let i = 0; i < frameSamples; i++) {
      this.#share += step;
      samples[i] = samples[i]! + this.#share * (dry[i]! - samples[i]!);
    }
    this.#share = share;
  }

  #compare(dry: Float64Array, wet: Float32Array): void {
    let dryPower = 0;
    let takenPower = 0;
    for (let i = 0; i < frameSamples; i++) {
      const taken = dry[i]! - wet[i]!;
      dryPower += dry[i]! * dry[i]!;
      takenPower += taken * taken;
    }
    this.#dryPower += takenPace * (dryPower - this.#dryPower);
    this.#takenPower += takenPace * (takenPower - this.#takenPower);
  }

  get #noisePower(): number {
    return Math.max(1, leastToMean * Math.min(...this.#least));
  }

  #follow(power: number): void {
    this.#smoothPower += (this.#framesSeen === 0 ? 1 : smoothing) * (power - this.#smoothPower);
    this.#least[0] = Math.min(this.#least[0]!, this.#smoothPower);
    this.#framesSeen++;
    if (this.#framesSeen % blockFrames === 0) {
      this.#least.unshift(this.#smoothPower);
      this.#least.length = Math.min(this.#least.length, blocks + 1);
    }
    if (power > speechRatio * this.#noisePower) {
      this.#speechPower += (this.#speechPower === 0 ? 1 : levelPace) * (power - this.#speechPower);
    }
  }

  #shareOfDry(): number {
    if (this.#framesSeen < blockFrames || this.#speechPower === 0) return 0;
    const noise = this.#noisePower;
    // What goes out is older than what is known: speech that begins is let in before it comes.
    const power = Math.max(...this.#frames.map((frame) => frame.power));
    const voice = Math.max(...this.#frames.map((frame) => frame.voice));
    return (
      ramp(decibels(this.#speechPower / noise), shareFromDb, shareToDb) *
      ramp(decibels(power / noise), frameFromDb, frameToDb) *
      ramp(voice, voiceFrom, voiceTo) *
      ramp(decibels(this.#dryPower / Math.max(this.#takenPower, 1e-9)), takenFromDb, takenToDb)
    );
  }
}
