import { limits } from '../limits.js';

/** The two frequencies of each key (ITU-T Q.23), in Hz. */
const rows = [697, 770, 852, 941];
const columns = [1_209, 1_336, 1_477, 1_633];
const keypad = ['123A', '456B', '789C', '*0#D'];
const amplitude = 8_000;

function sines(frequenciesHz: readonly number[], durationMs: number, sampleRate: number): Int16Array {
  const samples = new Int16Array(Math.round((sampleRate * durationMs) / 1_000));
  const rampSamples = sampleRate / 200;
  for (let i = 0; i < samples.length; i++) {
    // Without a ramp both ends click.
    const ramp = Math.min(1, i / rampSamples, (samples.length - i) / rampSamples);
    let value = 0;
    for (const hz of frequenciesHz) value += Math.sin((2 * Math.PI * hz * i) / sampleRate);
    samples[i] = Math.round((amplitude * ramp * value) / frequenciesHz.length);
  }
  return samples;
}

function join(pieces: readonly Int16Array[]): Int16Array {
  const whole = new Int16Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

const silence = (durationMs: number, sampleRate: number): Int16Array =>
  new Int16Array((sampleRate * durationMs) / 1_000);

/** Sounds of a telephone network, made as they are needed. */
export const playTone = {
  /** One cadence of a telephone that rings at the other end (425 Hz, one second in five). */
  ringback: (sampleRate: number): Int16Array =>
    join([sines([425], 1_000, sampleRate), silence(4_000, sampleRate)]),
  /** Asks for a PIN: two rising notes. */
  prompt: (sampleRate: number): Int16Array =>
    join([sines([660], 200, sampleRate), silence(60, sampleRate), sines([880], 300, sampleRate)]),
  /** The PIN is wrong: three falling notes. */
  refusal: (sampleRate: number): Int16Array =>
    join([660, 520, 400].flatMap((hz) => [sines([hz], 250, sampleRate), silence(50, sampleRate)])),
  /** Keys as sound, for a peer that does not know telephone events; `w` waits half a second. */
  digits: (text: string, sampleRate: number): Int16Array =>
    join(
      [...text.toUpperCase().slice(0, limits.waitingKeys.value)].flatMap((key) => {
        if (key === 'W') return [silence(500, sampleRate)];
        const row = keypad.findIndex((keys) => keys.includes(key));
        if (row < 0) return [];
        const column = keypad[row]!.indexOf(key);
        return [sines([rows[row]!, columns[column]!], 160, sampleRate), silence(80, sampleRate)];
      }),
    ),
};
