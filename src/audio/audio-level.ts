const fullScale = 32768;
/** Digital silence, and the lowest level that RFC 6464 can say. */
export const silenceDbov = -127;

/** Root-mean-square level in dBov, between -127 (silence) and 0 (RFC 6464, section 3). */
export function audioLevelDbov(samples: Int16Array): number {
  return dbovOf(meanSquare(samples));
}

/** Of samples as fractions of full scale. @param step looks at every so manieth sample only */
export function meanSquare(samples: Int16Array, step = 1): number {
  let energy = 0;
  let count = 0;
  for (let i = 0; i < samples.length; i += step) {
    energy += samples[i]! * samples[i]!;
    count++;
  }
  return count === 0 ? 0 : energy / count / (fullScale * fullScale);
}

export function dbovOf(meanSquare: number): number {
  if (meanSquare === 0) return silenceDbov;
  return Math.max(silenceDbov, Math.min(0, 10 * Math.log10(meanSquare)));
}

/** The byte of the audio level header extension: voice flag and the level's absolute value. */
export function encodeAudioLevel(dbov: number, voice: boolean): number {
  return (voice ? 0x80 : 0) | Math.min(127, Math.round(-dbov));
}

/** Reads the audio level header extension (RFC 6464); undefined when it is empty. */
export function decodeAudioLevel(extension: Uint8Array): { dbov: number; voice: boolean } | undefined {
  const first = extension[0];
  if (first === undefined) return undefined;
  return { dbov: -(first & 0x7f), voice: (first & 0x80) !== 0 };
}
