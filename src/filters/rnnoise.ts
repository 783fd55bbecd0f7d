// The built-in noise suppression: RNNoise, compiled to WebAssembly, at 48 kHz.
import type { AudioFilter, AudioFilterDefinition, AudioFilterStream } from './audio-filter.js';
import { DryMix } from './dry-mix.js';
import type { Samples } from './samples.js';

const rnnoiseSampleRate = 48_000;
const frameSamples = 480;

/** RNNoise compiled to WebAssembly; pointers are byte offsets into its memory. */
interface RnnoiseModule {
  readonly ready: Promise<unknown>;
  /** Its memory, replaced when it grows. */
  readonly HEAPF32: Float32Array;
  _malloc(bytes: number): number;
  _free(pointer: number): void;
  _rnnoise_create(): number;
  _rnnoise_destroy(state: number): void;
  /** Filters 480 samples from `input` to `output`; returns the probability of speech. */
  _rnnoise_process_frame(state: number, output: number, input: number): number;
}

// By a variable: the package has no types.
const wasmPackage: string = '@jitsi/rnnoise-wasm/dist/rnnoise-sync.js';
const { default: createModule } = (await import(wasmPackage)) as { default: () => RnnoiseModule };
const rnnoise = createModule();

/** One channel's state, which lives in the memory of the WebAssembly module. */
class Channel {
  #state = rnnoise._rnnoise_create();
  #buffer = rnnoise._malloc(4 * frameSamples);
  #dryMix = new DryMix();

  /** Filters every `step`th sample of `frame` from `first` on, in place. RNNoise takes the range of 16-bit samples. */
  process(frame: Samples, first: number, step: number): void {
    const input = this.#samples();
    for (let i = 0; i < frameSamples; i++) input[i] = frame[first + i * step]!;
    this.#dryMix.take(input);
    const voice = rnnoise._rnnoise_process_frame(this.#state, this.#buffer, this.#buffer);
    const output = this.#samples();
    this.#dryMix.mix(output, voice);
    for (let i = 0; i < frameSamples; i++) {
      frame[first + i * step] = Math.max(-32768, Math.min(32767, Math.round(output[i]!)));
    }
  }

  #samples(): Float32Array {
    return rnnoise.HEAPF32.subarray(this.#buffer / 4, this.#buffer / 4 + frameSamples);
  }

  close(): void {
    rnnoise._rnnoise_destroy(this.#state);
    rnnoise._free(this.#buffer);
  }
}

/** RNNoise for one stream; every channel is filtered on its own. Delays by 20 ms. */
export class Rnnoise implements AudioFilter {
  #channels: Channel[];

  constructor({ sampleRate, numChannels }: Pick<AudioFilterStream, 'sampleRate' | 'numChannels'>) {
    if (sampleRate !== rnnoiseSampleRate) throw new Error(`RNNoise works at 48,000 Hz, not at ${sampleRate}`);
    this.#channels = Array.from({ length: numChannels }, () => new Channel());
  }

  process(frame: Samples): undefined {
    for (const [index, channel] of this.#channels.entries()) {
      channel.process(frame, index, this.#channels.length);
    }
  }

  close(): void {
    for (const channel of this.#channels) channel.close();
    this.#channels = [];
  }
}

/** @throws Error for another rate than 48,000 Hz */
export async function createRnnoise(
  stream: Pick<AudioFilterStream, 'sampleRate' | 'numChannels'>,
): Promise<Rnnoise> {
  await rnnoise.ready;
  return new Rnnoise(stream);
}

const definition: AudioFilterDefinition = { sampleRate: rnnoiseSampleRate, create: createRnnoise };

export default definition;
