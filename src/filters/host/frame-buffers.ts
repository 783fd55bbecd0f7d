import { areNumbers, bytesOf, type SampleFormat, type Samples } from '../samples.js';

/** Samples on either side of the output that no plugin may touch. */
const guardSamples = 256;
const guardValue = 0x5aa5;
/** Frames of a stream are of one size. */
const maxSizes = 32;

/** The plugin wrote where it must not: memory of this process can no longer be trusted. */
export class OverrunError extends Error {}

function allocate(format: SampleFormat, length: number): Samples {
  return format === 'float' ? new Float32Array(length) : new Int16Array(length);
}

/** What a plugin reads a frame from and writes it to, used again for every frame of the size. */
export class FrameBuffers {
  readonly input: Samples;
  readonly inputBytes: Uint8Array;
  readonly output: Samples;
  readonly outputBytes: Uint8Array;
  #before: Buffer;
  #after: Buffer;
  #guard: Buffer;

  constructor(format: SampleFormat, inputLength: number, outputLength: number) {
    this.input = allocate(format, inputLength);
    this.inputBytes = bytesOf(this.input);
    const guarded = allocate(format, outputLength + 2 * guardSamples).fill(guardValue);
    this.output = guarded.subarray(guardSamples, guardSamples + outputLength).fill(0);
    this.outputBytes = bytesOf(this.output);
    this.#before = bufferOf(guarded.subarray(0, guardSamples));
    this.#after = bufferOf(guarded.subarray(guardSamples + outputLength));
    this.#guard = Buffer.from(this.#before);
  }

  fits(format: SampleFormat, inputBytes: number, outputLength: number): boolean {
    return (
      this.inputBytes.length === inputBytes &&
      this.output.length === outputLength &&
      this.output instanceof Float32Array === (format === 'float')
    );
  }

  /**
   * Looks at what the plugin has written.
   * @throws OverrunError when it wrote outside of its output, Error when it wrote what is no number
   */
  check(): void {
    if (!this.#before.equals(this.#guard) || !this.#after.equals(this.#guard)) {
      throw new OverrunError('the plugin wrote outside of its output buffer');
    }
    if (!areNumbers(this.output)) {
      throw new Error('the plugin returned samples that are not numbers');
    }
  }
}

function bufferOf(samples: Samples): Buffer {
  return Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength);
}

/** Buffers for the sizes of frames that there are. */
export class FrameBuffersBySize {
  #sizes: FrameBuffers[] = [];

  /** @param inputBytes bytes of the samples that go in; outputLength: samples wanted back */
  get(format: SampleFormat, inputBytes: number, outputLength: number): FrameBuffers {
    for (const known of this.#sizes) if (known.fits(format, inputBytes, outputLength)) return known;
    if (this.#sizes.length >= maxSizes) this.#sizes = [];
    const made = new FrameBuffers(
      format,
      Math.floor(inputBytes / (format === 'float' ? 4 : 2)),
      outputLength,
    );
    this.#sizes.push(made);
    return made;
  }
}
