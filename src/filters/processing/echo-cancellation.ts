import type WebRtcAec3 from '@ennuicastr/webrtcaec3.js';
import { describeError } from '../../errors/index.js';
import { createLogger } from '../../logging/index.js';
import type { CreateRateConverter, RateConverter } from './rate-converter.js';

const log = createLogger('filters/processing');
/** Hz at which the canceller works. */
const aecRate = 48_000;
const frameSamples = aecRate / 100;
/** After as many captured frames without one that is played, nothing is: the canceller must hear of that too. */
const silentAfterFrames = 10;
const silence = [new Float32Array(frameSamples)];

/** Loaded once, when it is first asked for. */
let loading: Promise<WebRtcAec3.WebRtcAec3> | undefined;

function loadAec3(): Promise<WebRtcAec3.WebRtcAec3> {
  loading ??= import('@ennuicastr/webrtcaec3.js').then(({ default: create }) => withoutHandlers(create));
  return loading;
}

/** The compiled module registers a handler for every uncaught error of the program, which it must not. */
function withoutHandlers<Result>(work: () => Result): Result {
  const events = ['uncaughtException', 'unhandledRejection'] as const;
  const before = new Set<unknown>(events.flatMap((event) => process.listeners(event as 'exit')));
  const result = work();
  for (const event of events) {
    for (const listener of process.listeners(event as 'exit')) {
      if (!before.has(listener)) process.off(event, listener);
    }
  }
  return result;
}

export interface EchoCancellationOptions {
  /** Hz of what is captured. */
  sampleRate: number;
  numChannels: number;
  delayMs: number;
  createRateConverter: CreateRateConverter;
}

/** Takes out of captured audio what was played meanwhile (WebRTC's AEC3). Audio passes until it has loaded. */
export class EchoCancellation {
  #options: EchoCancellationOptions;
  #aec: WebRtcAec3.AEC3 | undefined;
  #up: RateConverter;
  #down: RateConverter;
  /** What is played, as one channel at the canceller's rate. */
  #played: { sampleRate: number; up: RateConverter } | undefined;
  /** Frames captured since the last that was played. */
  #framesSincePlayed = 0;
  #input: Float32Array[];
  #output: Float32Array[];
  #closed = false;

  constructor(options: EchoCancellationOptions) {
    this.#options = options;
    const { sampleRate, numChannels, createRateConverter } = options;
    this.#up = createRateConverter({ inputRate: sampleRate, outputRate: aecRate, numChannels });
    this.#down = createRateConverter({ inputRate: aecRate, outputRate: sampleRate, numChannels });
    const channels = () => Array.from({ length: numChannels }, () => new Float32Array(frameSamples));
    this.#input = channels();
    this.#output = channels();
    this.#load().catch((error: unknown) => {
      log.error(`echo cancellation could not be loaded; audio passes without it: ${describeError(error)}`);
    });
  }

  /** Takes 10 ms of interleaved samples that are being played. */
  processReverse(samples: Int16Array, sampleRate: number, numChannels: number): void {
    if (this.#played?.sampleRate !== sampleRate) {
      const rates = { inputRate: sampleRate, outputRate: aecRate, numChannels: 1 };
      this.#played = { sampleRate, up: this.#options.createRateConverter(rates) };
    }
    this.#framesSincePlayed = 0;
    const wide = this.#played.up.push(toMono(samples, numChannels));
    this.#aec?.analyze([Float32Array.from(wide, (sample) => sample / 32_768)]);
  }

  /** Takes and returns 10 ms; what it returns is late by about 10 ms and the resampling. */
  process(samples: Int16Array): Int16Array {
    const wide = this.#up.push(samples).slice();
    if (this.#aec) this.#cancel(this.#aec, wide);
    return this.#down.push(wide);
  }

  /** @param delayMs from a sound's being given to `processReverse` to its echo's being given to `process` */
  setDelay(delayMs: number): void {
    this.#options = { ...this.#options, delayMs };
    this.#aec?.setAudioBufferDelay(delayMs);
  }

  close(): void {
    this.#closed = true;
    this.#aec?.free();
    this.#aec = undefined;
  }

  async #load(): Promise<void> {
    const { AEC3 } = await loadAec3();
    if (this.#closed) return;
    this.#aec = new AEC3(aecRate, 1, this.#options.numChannels);
    this.#aec.setAudioBufferDelay(this.#options.delayMs);
  }

  #cancel(aec: WebRtcAec3.AEC3, samples: Int16Array): void {
    if (++this.#framesSincePlayed > silentAfterFrames) aec.analyze(silence);
    const step = this.#input.length;
    for (const [channel, input] of this.#input.entries()) {
      for (let i = 0; i < frameSamples; i++) input[i] = samples[i * step + channel]! / 32_768;
    }
    aec.process(this.#output, this.#input);
    for (const [channel, output] of this.#output.entries()) {
      for (let i = 0; i < frameSamples; i++) {
        samples[i * step + channel] = Math.max(-32_768, Math.min(32_767, Math.round(output[i]! * 32_768)));
      }
    }
  }
}

function toMono(samples: Int16Array, numChannels: number): Int16Array {
  if (numChannels === 1) return samples;
  return Int16Array.from({ length: samples.length / numChannels }, (_, i) => {
    let sum = 0;
    for (let channel = 0; channel < numChannels; channel++) sum += samples[i * numChannels + channel]!;
    return sum / numChannels;
  });
}
