import { OffhookError } from '../../errors/index.js';

/** Mono 16-bit audio. */
export interface Recording {
  samples: Int16Array;
  sampleRate: number;
}

const fullScale = 32_768;

/** Reads a mono 16-bit PCM WAV file. @throws OffhookError `OFFHOOK_INVALID_REQUEST` when it is something else. */
export function readWav(bytes: Buffer): Recording {
  const isWav = bytes.toString('latin1', 0, 4) === 'RIFF' && bytes.toString('latin1', 8, 12) === 'WAVE';
  let sampleRate = 0;
  for (let at = 12; isWav && at + 8 <= bytes.length; ) {
    const id = bytes.toString('latin1', at, at + 4);
    const length = bytes.readUInt32LE(at + 4);
    const body = bytes.subarray(at + 8, at + 8 + length);
    if (id === 'fmt ' && body.length >= 16) sampleRate = body.readUInt32LE(4);
    if (id === 'data' && sampleRate > 0) {
      const samples = new Int16Array(body.length >> 1);
      for (let i = 0; i < samples.length; i++) samples[i] = body.readInt16LE(i * 2);
      return { samples, sampleRate };
    }
    at += 8 + length + (length & 1);
  }
  throw new OffhookError('OFFHOOK_INVALID_REQUEST', 'the file is not a WAV file with a format and data');
}

/** RMS level in dBFS of each stretch of `stepMs`; silence is -Infinity. */
export function levelsDbfs({ samples, sampleRate }: Recording, stepMs: number): number[] {
  const step = Math.round((sampleRate * stepMs) / 1_000);
  const levels: number[] = [];
  for (let at = 0; at + step <= samples.length; at += step) {
    let sum = 0;
    for (let i = at; i < at + step; i++) sum += (samples[i]! / fullScale) ** 2;
    levels.push(10 * Math.log10(sum / step));
  }
  return levels;
}

/** A mono 16-bit PCM WAV file. */
export function wavOf({ samples, sampleRate }: Recording): Buffer {
  const header = Buffer.alloc(44);
  header.write('RIFF', 0, 'latin1');
  header.writeUInt32LE(36 + samples.length * 2, 4);
  header.write('WAVEfmt ', 8, 'latin1');
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(sampleRate, 24);
  header.writeUInt32LE(sampleRate * 2, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write('data', 36, 'latin1');
  header.writeUInt32LE(samples.length * 2, 40);
  return Buffer.concat([header, Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength)]);
}
