import { Resampler } from '../audio/index.js';
import { checkFlag, checkInstance, checkInteger, checkNumberFrom, checkOptions } from '../errors/index.js';
import { AudioProcessing as Processing } from '../filters/index.js';
import { limits } from '../limits.js';

/** The parts of audio processing that are wanted, in the order in which they run. Default: none. */
export interface AudioProcessingOptions {
  /** Takes away rumble below 100 Hz. */
  highPass?: boolean;
  /** Takes away what `processReverse` was given, as far as it is heard again. */
  echoCancellation?: boolean;
  noiseSuppression?: boolean;
  /** Brings speech to an even level. */
  gainControl?: boolean;
}

function checkAudio(samples: Int16Array, sampleRate: number, numChannels: number): void {
  checkInstance('samples', samples, Int16Array);
  checkNumberFrom('sampleRate', sampleRate, 1);
  checkInteger('numChannels', numChannels, 1, limits.channels.value);
}

const optionNames = ['highPass', 'echoCancellation', 'noiseSuppression', 'gainControl'] as const;

/**
 * Processing of audio that a program captures, before it goes into an `AudioSource`. Runs in the program's thread.
 *
 * @example
 * const processing = new AudioProcessing({ echoCancellation: true, noiseSuppression: true });
 * processing.processReverse(played, 48_000, 1);
 * processing.process(captured, 48_000, 1);
 */
export class AudioProcessing {
  readonly #processing: Processing;

  /** @throws OffhookError `OFFHOOK_INVALID_REQUEST` for an unknown option */
  constructor(options: AudioProcessingOptions) {
    checkOptions('the options of AudioProcessing', options, optionNames);
    for (const name of optionNames) if (options[name] !== undefined) checkFlag(name, options[name]);
    this.#processing = new Processing({
      ...options,
      createRateConverter: (rates) => Resampler.create({ ...rates, primed: true }),
    });
  }

  /**
   * Processes interleaved samples, one or several times 10 ms, in place.
   *
   * @throws OffhookError `OFFHOOK_INVALID_REQUEST` for another length, or a rate or number of channels out of limits
   */
  process(samples: Int16Array, sampleRate: number, numChannels: number): void {
    checkAudio(samples, sampleRate, numChannels);
    this.#processing.process(samples, sampleRate, numChannels);
  }

  /**
   * Takes what is played to the user, one or several times 10 ms, for echo cancellation.
   *
   * @throws OffhookError `OFFHOOK_INVALID_REQUEST` as `process` does
   */
  processReverse(samples: Int16Array, sampleRate: number, numChannels: number): void {
    checkAudio(samples, sampleRate, numChannels);
    this.#processing.processReverse(samples, sampleRate, numChannels);
  }

  /**
   * The delay between `processReverse` and `process` of one sound; echo cancellation finds it by itself in time.
   *
   * @throws OffhookError `OFFHOOK_INVALID_REQUEST` when it is negative
   */
  setStreamDelay(delayMs: number): void {
    this.#processing.setStreamDelay(checkNumberFrom('delayMs', delayMs, 0));
  }

  /** Frees what it holds; it may be used again. */
  close(): void {
    this.#processing.close();
  }

  /** `using` calls it: as `close`. */
  [Symbol.dispose](): void {
    this.close();
  }
}
