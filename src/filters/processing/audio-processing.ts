import { OffhookError } from '../../errors/index.js';
import { createLogger } from '../../logging/index.js';
import { EchoCancellation } from './echo-cancellation.js';
import { GainControl } from './gain-control.js';
import { HighPass } from './high-pass.js';
import { NoiseSuppression } from './noise-suppression.js';
import type { CreateRateConverter } from './rate-converter.js';

export interface AudioProcessingOptions {
  echoCancellation?: boolean;
  gainControl?: boolean;
  highPass?: boolean;
  noiseSuppression?: boolean;
  /** Makes the converters that echo cancellation and noise suppression need at rates other than 48 kHz. */
  createRateConverter: CreateRateConverter;
}

/** The parts for one rate and number of channels. */
interface Parts {
  sampleRate: number;
  numChannels: number;
  highPass: HighPass[];
  echoCancellation: EchoCancellation | undefined;
  noiseSuppression: NoiseSuppression | undefined;
  gainControl: GainControl | undefined;
}

const log = createLogger('filters/processing');

/** Processing of audio that a program captures: high-pass, echo cancellation, noise suppression and gain control. */
export class AudioProcessing {
  #options: AudioProcessingOptions;
  #parts: Parts | undefined;
  #delayMs = 0;

  constructor(options: AudioProcessingOptions) {
    this.#options = options;
  }

  /**
   * Processes interleaved samples, one or several times 10 ms, in place.
   * @throws OffhookError `OFFHOOK_INVALID_REQUEST` for another length, or a rate or number of channels that cannot be used
   */
  process(samples: Int16Array, sampleRate: number, numChannels: number): void {
    const frameLength = frameLengthOf(samples, sampleRate, numChannels);
    const parts = this.#partsFor(sampleRate, numChannels);
    for (let at = 0; at < samples.length; at += frameLength) {
      processFrame(samples.subarray(at, at + frameLength), parts);
    }
  }

  /**
   * Takes what is played to the user, one or several times 10 ms, for echo cancellation.
   * @throws OffhookError `OFFHOOK_INVALID_REQUEST` as `process` does
   */
  processReverse(samples: Int16Array, sampleRate: number, numChannels: number): void {
    const frameLength = frameLengthOf(samples, sampleRate, numChannels);
    for (let at = 0; at < samples.length; at += frameLength) {
      const frame = samples.subarray(at, at + frameLength);
      this.#parts?.echoCancellation?.processReverse(frame, sampleRate, numChannels);
    }
  }

  /**
   * Takes the delay between `processReverse` and `process` of one sound; echo cancellation finds it by itself in time.
   * @throws OffhookError `OFFHOOK_INVALID_REQUEST` when it is negative
   */
  setStreamDelay(delayMs: number): void {
    if (delayMs < 0) throw invalid(`a delay of ${delayMs} ms is below 0`);
    this.#delayMs = delayMs;
    this.#parts?.echoCancellation?.setDelay(delayMs);
  }

  close(): void {
    this.#parts?.echoCancellation?.close();
    this.#parts?.noiseSuppression?.close();
    this.#parts = undefined;
  }

  #partsFor(sampleRate: number, numChannels: number): Parts {
    const current = this.#parts;
    if (current?.sampleRate === sampleRate && current.numChannels === numChannels) return current;
    log.debug(`audio of ${sampleRate} Hz with ${numChannels} channels is processed`);
    this.close();
    const { highPass, echoCancellation, noiseSuppression, gainControl, createRateConverter } = this.#options;
    this.#parts = {
      sampleRate,
      numChannels,
      highPass: highPass ? Array.from({ length: numChannels }, () => new HighPass(sampleRate)) : [],
      echoCancellation: echoCancellation
        ? new EchoCancellation({ sampleRate, numChannels, delayMs: this.#delayMs, createRateConverter })
        : undefined,
      noiseSuppression: noiseSuppression
        ? new NoiseSuppression(sampleRate, numChannels, createRateConverter)
        : undefined,
      gainControl: gainControl ? new GainControl() : undefined,
    };
    return this.#parts;
  }
}

function processFrame(frame: Int16Array, parts: Parts): void {
  const { highPass, echoCancellation, noiseSuppression, gainControl } = parts;
  if (highPass.length > 0) {
    const values = Float64Array.from(frame);
    for (const [channel, filter] of highPass.entries()) filter.process(values, channel, highPass.length);
    store(values, frame);
  }
  if (echoCancellation) frame.set(echoCancellation.process(frame));
  if (noiseSuppression) frame.set(noiseSuppression.process(frame));
  if (gainControl) {
    const values = Float64Array.from(frame);
    gainControl.process(values);
    store(values, frame);
  }
}

function store(values: Float64Array, frame: Int16Array): void {
  for (let i = 0; i < frame.length; i++) {
    frame[i] = Math.max(-32768, Math.min(32767, Math.round(values[i]!)));
  }
}

function frameLengthOf(samples: Int16Array, sampleRate: number, numChannels: number): number {
  const frameLength = (sampleRate / 100) * numChannels;
  if (!Number.isInteger(frameLength) || sampleRate <= 0 || numChannels <= 0) {
    throw invalid(`${sampleRate} Hz in ${numChannels} channels cannot be cut into 10 ms`);
  }
  if (samples.length === 0 || samples.length % frameLength !== 0) {
    throw invalid(`${samples.length} samples are not a multiple of 10 ms (${frameLength})`);
  }
  return frameLength;
}

function invalid(what: string): OffhookError {
  return new OffhookError('OFFHOOK_INVALID_REQUEST', `audio processing: ${what}`);
}
