const fullScale = 32_768;
/** RMS that speech is brought to. */
const targetDbfs = -18;
const maxGainDb = 30;
/** No gain raises the noise between words above this. */
const maxNoiseDbfs = -50;
/** Peaks stay below. */
const limitDbfs = -1;
/** A frame this much above the noise is speech. */
const speechAboveNoiseDb = 9;
const quietestSpeechDbfs = -60;
/** Per frame of 10 ms: gain rises by 6 dB a second and falls ten times as fast. */
const risePerFrameDb = 0.06;
const fallPerFrameDb = 0.6;

const toDb = (ratio: number) => 20 * Math.log10(Math.max(ratio, 1e-9));
const fromDb = (db: number) => 10 ** (db / 20);

/** Brings speech to one level, slowly, and keeps peaks from clipping. All channels get the same gain. */
export class GainControl {
  #speechDbfs: number | undefined;
  #noiseDbfs = quietestSpeechDbfs;
  #gainDb = 0;
  /** What the last frame ended with, limiter included. */
  #applied = 1;

  /** Takes 10 ms of samples in the range of 16 bits and changes them in place. */
  process(samples: Float64Array): void {
    let sum = 0;
    let peak = 0;
    for (const sample of samples) {
      sum += sample * sample;
      peak = Math.max(peak, Math.abs(sample));
    }
    this.#follow(toDb(Math.sqrt(sum / samples.length) / fullScale));
    const limit = (fromDb(limitDbfs) * fullScale) / Math.max(peak, 1);
    const gain = Math.min(fromDb(this.#gainDb), limit);
    // A ramp from the last frame's gain, which must not reach above the limit within this one.
    const from = Math.min(this.#applied, limit);
    for (let i = 0; i < samples.length; i++) {
      samples[i]! *= from + ((gain - from) * (i + 1)) / samples.length;
    }
    this.#applied = gain;
  }

  #follow(levelDbfs: number): void {
    // The quietest of late is the noise: it is believed at once when lower, and 1 dB a second when higher.
    this.#noiseDbfs = Math.min(levelDbfs, this.#noiseDbfs + 0.01);
    const isSpeech = levelDbfs > quietestSpeechDbfs && levelDbfs > this.#noiseDbfs + speechAboveNoiseDb;
    if (!isSpeech) return;
    const speechDbfs = this.#speechDbfs ?? levelDbfs;
    const pace = levelDbfs > speechDbfs ? 0.1 : 0.01;
    this.#speechDbfs = speechDbfs + pace * (levelDbfs - speechDbfs);
    const wanted = Math.min(targetDbfs - this.#speechDbfs, maxGainDb, maxNoiseDbfs - this.#noiseDbfs);
    const change = Math.max(0, wanted) - this.#gainDb;
    this.#gainDb += Math.max(-fallPerFrameDb, Math.min(risePerFrameDb, change));
  }
}
