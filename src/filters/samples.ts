/** 16-bit, or floats from -1 to 1. */
export type SampleFormat = 'int16' | 'float';
export type Samples = Int16Array | Float32Array;

/** Samples in a format: the same ones if they are in it. Values beyond what 16 bits hold are clipped. */
export function toFormat(samples: Samples, format: SampleFormat): Samples {
  return format === 'float' ? toFloat(samples) : toInt16(samples);
}

export function toInt16(samples: Samples): Int16Array {
  if (samples instanceof Int16Array) return samples;
  const values = new Int16Array(samples.length);
  for (let i = 0; i < samples.length; i++) {
    values[i] = Math.max(-32768, Math.min(32767, Math.round(samples[i]! * 32768)));
  }
  return values;
}

function toFloat(samples: Samples): Float32Array {
  if (samples instanceof Float32Array) return samples;
  const values = new Float32Array(samples.length);
  for (let i = 0; i < samples.length; i++) values[i] = samples[i]! / 32768;
  return values;
}

/** False when there is a NaN or an infinity among them: a product with zero is zero but for those. */
export function areNumbers(samples: Samples): boolean {
  let sum = 0;
  for (let i = 0; i < samples.length; i++) sum += samples[i]! * 0;
  return sum === 0;
}

/** The bytes of samples, without a copy. */
export function bytesOf(samples: Samples): Uint8Array {
  return new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
}

/** Samples of their own, copied out of a payload (which may lie at any address). */
export function samplesOf(payload: Uint8Array, format: SampleFormat): Samples {
  const size = format === 'float' ? 4 : 2;
  const whole = payload.byteLength - (payload.byteLength % size);
  // Not slice(): that of a Buffer is a view.
  const copy = new Uint8Array(payload.subarray(0, whole)).buffer;
  return format === 'float' ? new Float32Array(copy) : new Int16Array(copy);
}
