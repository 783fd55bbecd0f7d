/** Mono 16-bit audio. */
export interface Pcm {
  samples: Int16Array;
  sampleRate: number;
}

const fullScale = 32_768;

/** Power of `frequencyHz` in `samples` by the Goertzel algorithm; a full-scale sine gives 0.25. */
export function goertzelPower({ samples, sampleRate }: Pcm, frequencyHz: number): number {
  const coefficient = 2 * Math.cos((2 * Math.PI * frequencyHz) / sampleRate);
  let previous = 0;
  let beforePrevious = 0;
  for (const sample of samples) {
    const next = sample / fullScale + coefficient * previous - beforePrevious;
    beforePrevious = previous;
    previous = next;
  }
  const power = previous ** 2 + beforePrevious ** 2 - coefficient * previous * beforePrevious;
  return power / samples.length ** 2;
}

/** Level of `samples` in dBFS by RMS: a full-scale sine is -3 dBFS, silence is -Infinity. */
export function levelDbfs(samples: Int16Array): number {
  let sum = 0;
  for (const sample of samples) sum += (sample / fullScale) ** 2;
  return 10 * Math.log10(sum / samples.length);
}

/** The strongest frequency between `fromHz` and `toHz`, to `stepHz`. */
export function dominantFrequencyHz(pcm: Pcm, { fromHz = 100, toHz = 4_000, stepHz = 5 } = {}): number {
  let bestHz = fromHz;
  let bestPower = -1;
  for (let hz = fromHz; hz <= toHz; hz += stepHz) {
    const power = goertzelPower(pcm, hz);
    if (power > bestPower) {
      bestPower = power;
      bestHz = hz;
    }
  }
  return bestHz;
}

/** Consecutive pieces of `durationMs`; a shorter remainder is left out. */
export function* pieces({ samples, sampleRate }: Pcm, durationMs: number): Generator<Int16Array> {
  const length = Math.round((sampleRate * durationMs) / 1_000);
  for (let at = 0; at + length <= samples.length; at += length) yield samples.subarray(at, at + length);
}

export interface Gap {
  startMs: number;
  durationMs: number;
}

/**
 * Stretches of at least `minGapMs` that are quieter than `audibleDbfs`, between the first and the last audible
 * piece: what comes before the sound begins and after it ends is no gap.
 */
export function findGaps(pcm: Pcm, { audibleDbfs = -40, minGapMs = 20, pieceMs = 10 } = {}): Gap[] {
  const audible = [...pieces(pcm, pieceMs)].map((piece) => levelDbfs(piece) > audibleDbfs);
  const gaps: Gap[] = [];
  let quietSince: number | undefined;
  for (let i = audible.indexOf(true); i >= 0 && i < audible.length; i++) {
    if (!audible[i]) quietSince ??= i;
    else if (quietSince !== undefined) {
      const durationMs = (i - quietSince) * pieceMs;
      if (durationMs >= minGapMs) gaps.push({ startMs: quietSince * pieceMs, durationMs });
      quietSince = undefined;
    }
  }
  return gaps;
}

/** The part of `pcm` from its first to its last audible piece; empty when nothing is audible. */
export function audiblePart(pcm: Pcm, { audibleDbfs = -40, pieceMs = 10 } = {}): Pcm {
  const length = Math.round((pcm.sampleRate * pieceMs) / 1_000);
  const audible = [...pieces(pcm, pieceMs)].map((piece) => levelDbfs(piece) > audibleDbfs);
  const first = audible.indexOf(true);
  const last = audible.lastIndexOf(true);
  const samples = first < 0 ? new Int16Array() : pcm.samples.subarray(first * length, (last + 1) * length);
  return { samples, sampleRate: pcm.sampleRate };
}

/** A sine of `frequencyHz` at `levelDbfs` (RMS). */
export function makeTone(frequencyHz: number, durationMs: number, sampleRate: number, dbfs: number): Pcm {
  const amplitude = Math.SQRT2 * fullScale * 10 ** (dbfs / 20);
  const samples = Int16Array.from({ length: Math.round((sampleRate * durationMs) / 1_000) }, (_, i) =>
    Math.round(amplitude * Math.sin((2 * Math.PI * frequencyHz * i) / sampleRate)),
  );
  return { samples, sampleRate };
}
