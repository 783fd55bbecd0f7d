// node bench/filters/noise.mjs [folder]: the built-in noise suppression on speech (espeak-ng) with white, pink and babble
// noise at several ratios, and on clean speech. Prints a table; writes WAV files and a spectrogram (sox) to the folder.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRnnoise } from '../../dist/filters/rnnoise.js';

const out = process.argv[2];
const sampleRate = 48_000;
const frameSamples = 480;
/** RNNoise's own. */
const delaySamples = 960;
/** Frames louder than this are speech: about -50 dBFS. */
const speechPower = 1e4;
const scratch = mkdtempSync(join(tmpdir(), 'offhook-noise-'));

function readWav(path) {
  const bytes = readFileSync(path);
  const at = bytes.indexOf('data') + 8;
  return Float64Array.from(
    new Int16Array(
      bytes.buffer.slice(bytes.byteOffset + at, bytes.byteOffset + bytes.length - (bytes.length % 2)),
    ),
  );
}

function writeWav(path, samples) {
  const header = Buffer.alloc(44);
  header.write('RIFF', 0);
  header.writeUInt32LE(36 + samples.length * 2, 4);
  header.write('WAVEfmt ', 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(sampleRate, 24);
  header.writeUInt32LE(sampleRate * 2, 28);
  header.writeUInt16LE(2, 32);
  header.writeUInt16LE(16, 34);
  header.write('data', 36);
  header.writeUInt32LE(samples.length * 2, 40);
  const pcm = Int16Array.from(samples, (x) => Math.max(-32768, Math.min(32767, Math.round(x))));
  writeFileSync(path, Buffer.concat([header, Buffer.from(pcm.buffer)]));
}

/** Speech at 48 kHz, about -6 dBFS at its peak. */
function speak(text, voice, speed) {
  const raw = join(scratch, 'raw.wav');
  const wav = join(scratch, 'speech.wav');
  execFileSync('espeak-ng', ['-w', raw, '-v', voice, '-s', String(speed), text]);
  execFileSync('sox', [
    raw,
    '-r',
    String(sampleRate),
    '-c',
    '1',
    '-b',
    '16',
    wav,
    'norm',
    '-6',
    'pad',
    '0.5',
    '0.5',
  ]);
  return readWav(wav);
}

let seed = 1;
function gaussian() {
  const uniform = () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed / 2_147_483_648;
  };
  return Math.sqrt(-2 * Math.log(uniform() + 1e-12)) * Math.cos(2 * Math.PI * uniform());
}

/** White noise through Paul Kellet's filter: 3 dB less an octave. */
function pink(length) {
  const poles = [0.99886, 0.99332, 0.969, 0.8665, 0.55, -0.7616];
  const gains = [0.0555179, 0.0750759, 0.153852, 0.3104856, 0.5329522, -0.016898];
  const state = poles.map(() => 0);
  return Float64Array.from({ length }, () => {
    const white = gaussian();
    for (let i = 0; i < poles.length; i++) state[i] = poles[i] * state[i] + gains[i] * white;
    return state.reduce((sum, value) => sum + value, 0.5362 * white);
  });
}

/** Six people who talk at once. */
function babble(length) {
  const text =
    'The boats came in yesterday evening, and all the village talked about the weather and the fish';
  const sum = new Float64Array(length);
  for (let i = 0; i < 6; i++) {
    const voice = speak(text, `en+${i % 2 ? 'f' : 'm'}${1 + (i >> 1)}`, 130 + 15 * i);
    for (let n = 0; n < length; n++) sum[n] += voice[(n + i * 17_000) % voice.length];
  }
  return sum;
}

const power = (samples) => samples.reduce((sum, x) => sum + x * x, 0) / samples.length;
const decibels = (ratio) => 10 * Math.log10(ratio);
const frames = (samples) =>
  Array.from({ length: Math.floor(samples.length / frameSamples) }, (_, i) =>
    samples.subarray(i * frameSamples, (i + 1) * frameSamples),
  );

async function suppress(samples) {
  const rnnoise = await createRnnoise({ sampleRate, numChannels: 1 });
  const result = new Float64Array(samples.length);
  for (const [i, frame] of frames(samples).entries()) {
    const pcm = Int16Array.from(frame, (x) => Math.max(-32768, Math.min(32767, Math.round(x))));
    rnnoise.process(pcm);
    result.set(pcm, i * frameSamples);
  }
  rnnoise.close();
  const aligned = new Float64Array(samples.length);
  aligned.set(result.subarray(delaySamples));
  return aligned;
}

/**
 * Speech as RNNoise has it at best: it begins with a high-pass (about 25 Hz), which nobody hears and which shifts the phase
 * of a voice's lowest partials so far that samples compared with those before it differ by 19 dB.
 */
function highPass(samples) {
  let z1 = 0;
  let z2 = 0;
  return samples.map((x) => {
    const y = x + z1;
    z1 = z2 - 2 * x + 1.99599 * y;
    z2 = x - 0.996 * y;
    return y;
  });
}

/** Signal to error in speech, and level of what is left in the pauses (dBFS). */
function judge(clean, heard) {
  let signal = 0;
  let error = 0;
  const pauses = [];
  const heardFrames = frames(heard);
  const cleanFrames = frames(clean);
  const isSpeech = cleanFrames.map((frame) => power(frame) > speechPower);
  for (const [i, frame] of cleanFrames.entries()) {
    if (isSpeech[i]) {
      signal += power(frame);
      error += power(frame.map((x, n) => heardFrames[i][n] - x));
    } else if (i > 50 && !isSpeech[i - 1] && !isSpeech[i - 2] && !isSpeech[i - 3]) {
      pauses.push(power(heardFrames[i]));
    }
  }
  const pause = pauses.reduce((sum, value) => sum + value, 0) / Math.max(1, pauses.length);
  return { snrDb: decibels(signal / error), pauseDbfs: decibels(Math.max(pause, 0.1) / 32768 ** 2) };
}

const clean = speak(
  'Hello, this is a caller with a question about an order that I placed last week. ... Could you please tell me when ' +
    'it will arrive? ... My number is four seven one one, and the name is Miller. ... Thank you very much.',
  'en-us',
  150,
);
const speechFrames = frames(clean)
  .map(power)
  .filter((value) => value > speechPower);
const speechLevel = speechFrames.reduce((sum, value) => sum + value, 0) / speechFrames.length;
const reference = highPass(clean);
const noises = {
  white: Float64Array.from({ length: clean.length }, gaussian),
  pink: pink(clean.length),
  babble: babble(clean.length),
};

/**
 * How much the spectrum of speech has changed: mean difference, in dB, of bands of 100 Hz up to 8 kHz that are within
 * 30 dB of the strongest of their frame.
 */
function spectralChangeDb(clean, heard) {
  const bands = 80;
  const tables = [Math.cos, Math.sin].map((f) =>
    Float64Array.from({ length: frameSamples }, (_, i) => f((2 * Math.PI * i) / frameSamples)),
  );
  const spectrum = (frame) =>
    Array.from({ length: bands }, (_, k) => {
      const [re, im] = tables.map((table) =>
        frame.reduce((sum, x, n) => sum + x * table[(n * (k + 1)) % frameSamples], 0),
      );
      return decibels(re * re + im * im + 1e-3);
    });
  const heardFrames = frames(heard);
  const differences = [];
  for (const [i, frame] of frames(clean).entries()) {
    if (power(frame) <= speechPower) continue;
    const wanted = spectrum(frame);
    const got = spectrum(heardFrames[i]);
    const strongest = Math.max(...wanted);
    for (const [k, level] of wanted.entries()) {
      if (level > strongest - 30) differences.push(Math.abs(got[k] - level));
    }
  }
  return differences.reduce((sum, value) => sum + value, 0) / differences.length;
}

const row = (cells) => console.log(`| ${cells.join(' | ')} |`);
row(['noise', 'SNR in', 'SNR out', 'gain', 'pauses in', 'pauses out']);
row(['---', '--:', '--:', '--:', '--:', '--:']);
for (const [name, noise] of Object.entries(noises)) {
  for (const snrDb of [0, 5, 10, 20, 30]) {
    const scale = Math.sqrt(speechLevel / power(noise) / 10 ** (snrDb / 10));
    const noisy = clean.map((x, i) => x + scale * noise[i]);
    const quiet = await suppress(noisy);
    const before = judge(clean, noisy);
    const after = judge(reference, quiet);
    row([
      name,
      `${before.snrDb.toFixed(1)} dB`,
      `${after.snrDb.toFixed(1)} dB`,
      `${(after.snrDb - before.snrDb).toFixed(1)} dB`,
      `${before.pauseDbfs.toFixed(0)} dBFS`,
      `${after.pauseDbfs.toFixed(0)} dBFS`,
    ]);
    if (out && name === 'pink' && snrDb === 5) keep({ noisy, quiet });
  }
}
const untouched = await suppress(clean);
const { snrDb, pauseDbfs } = judge(reference, untouched);
row(['none', '∞', `${snrDb.toFixed(1)} dB`, '', '', `${pauseDbfs.toFixed(0)} dBFS`]);
const levelChange = decibels(power(untouched) / power(clean));
console.log(
  `\nClean speech: level changes by ${levelChange.toFixed(2)} dB, bands by ${spectralChangeDb(clean, untouched).toFixed(2)} dB.`,
);

/** Writes what a listener would hear, and what it looks like. */
function keep({ noisy, quiet }) {
  mkdirSync(out, { recursive: true });
  const pictures = [];
  for (const [name, samples] of Object.entries({ before: noisy, after: quiet })) {
    const wav = join(scratch, `${name}.wav`);
    writeWav(wav, samples.subarray(0, 5 * sampleRate));
    execFileSync('sox', [wav, '-r', '16000', join(out, `rnnoise-${name}.wav`)]);
    const picture = join(out, `rnnoise-${name}.png`);
    const size = ['-x', '900', '-y', '257', '-z', '90'];
    execFileSync('sox', [
      join(out, `rnnoise-${name}.wav`),
      '-n',
      'spectrogram',
      ...size,
      '-t',
      `${name}: speech in pink noise, 5 dB`,
      '-o',
      picture,
    ]);
    pictures.push(picture);
  }
}
