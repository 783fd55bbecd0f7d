import type * as AudioTools from '../audio-tools.js' with { 'resolution-mode': 'import' };

import path = require('node:path');
import type ProgramMemory = require('./program-memory.cjs');
import type ProgramRequest = require('./program-request.cjs');
import wireFormat = require('./wire-format.cjs');

const { messageField, numberField, textField } = wireFormat;

type Resampler = AudioTools.Resampler;
type AudioProcessing = AudioTools.AudioProcessing;

/** Field numbers of the requests in FfiRequest, and of their responses in FfiResponse. */
const requests = {
  newSoxResampler: 33,
  pushSoxResampler: 34,
  flushSoxResampler: 35,
  newApm: 50,
  apmProcessStream: 51,
  apmProcessReverseStream: 52,
  apmSetStreamDelay: 53,
};
const responses = {
  newSoxResampler: 33,
  pushSoxResampler: 34,
  flushSoxResampler: 35,
  newApm: 49,
  apmProcessStream: 50,
  apmProcessReverseStream: 51,
  apmSetStreamDelay: 52,
};
/** Within the requests. */
const newSoxResampler = {
  inputRate: 1,
  outputRate: 2,
  numChannels: 3,
  inputType: 4,
  outputType: 5,
  quality: 6,
};
const newApm = { echoCanceller: 1, gainController: 2, highPassFilter: 3, noiseSuppression: 4 };
const handleField = 1;
const samplesFields = { pointer: 2, size: 3, sampleRate: 4, numChannels: 5 };
const delayField = 2;
/** Within the responses. */
const outputFields = { pointer: 1, size: 2, error: 3 };
const apmErrorField = 1;

/** By number of the protocol's quality recipe. */
const qualities = ['quick', 'low', 'medium', 'high', 'veryHigh'] as const;
const mediumQuality = 2;

const sampleBytes = 2;

let loaded: typeof AudioTools | undefined;

function tools(): typeof AudioTools {
  loaded ??= require(path.join(__dirname, '..', '..', 'engine', 'audio-tools.cjs')) as typeof AudioTools;
  return loaded;
}

/** @returns `value` as a message that names a handle, in `field` */
const owned = (field: number, handle: number) => messageField(field, messageField(1, numberField(1, handle)));

/**
 * Resamplers and audio processing modules, which work in the program's own thread, on the samples where they are: that
 * costs less than a crossing, and one room's echo canceller does not delay another room. Whatever is out of the ordinary,
 * an unknown handle or an unusable format, is left to the engine to answer.
 */
class AudioRequests {
  #memory: ProgramMemory;
  #newId: () => number;
  #resamplers = new Map<number, { resampler: Resampler; output: Uint8Array }>();
  #modules = new Map<number, AudioProcessing>();

  constructor(memory: ProgramMemory, newId: () => number) {
    this.#memory = memory;
    this.#newId = newId;
  }

  /**
   * @returns the encoded FfiResponse; undefined for what the engine is to answer
   * @throws RangeError for memory that is not there
   */
  answer(request: ProgramRequest): Uint8Array | undefined {
    const fields = this.#fieldsOf(request);
    return fields && Uint8Array.from(fields);
  }

  /** Frees what belongs to a handle. Returns whether it was one of these. */
  drop(handle: number): boolean {
    const module = this.#modules.get(handle);
    module?.close();
    return this.#modules.delete(handle) || this.#resamplers.delete(handle);
  }

  dropAll(): void {
    for (const handle of [...this.#modules.keys(), ...this.#resamplers.keys()]) this.drop(handle);
  }

  #fieldsOf(request: ProgramRequest): number[] | undefined {
    switch (request.kind) {
      case requests.newSoxResampler:
        return this.#newResampler(request);
      case requests.pushSoxResampler:
        return this.#resample(request, responses.pushSoxResampler, (resampler) =>
          resampler.push(this.#samplesOf(request)),
        );
      case requests.flushSoxResampler:
        return this.#resample(request, responses.flushSoxResampler, (resampler) => resampler.flush());
      case requests.newApm:
        return this.#newModule(request);
      case requests.apmProcessStream:
        return this.#withModule(request, responses.apmProcessStream, (module) =>
          module.process(...this.#audioOf(request)),
        );
      case requests.apmProcessReverseStream:
        return this.#withModule(request, responses.apmProcessReverseStream, (module) =>
          module.processReverse(...this.#audioOf(request)),
        );
      case requests.apmSetStreamDelay:
        return this.#withModule(request, responses.apmSetStreamDelay, (module) =>
          module.setStreamDelay(signed(request.numbers.get(delayField) ?? 0)),
        );
      default:
        return undefined;
    }
  }

  #newResampler({ numbers }: ProgramRequest): number[] | undefined {
    const { inputRate, outputRate, numChannels, inputType, outputType, quality } = newSoxResampler;
    const recipe = qualities[numbers.get(quality) ?? mediumQuality];
    if (numbers.get(inputType) || numbers.get(outputType) || !recipe) return undefined;
    let resampler: Resampler;
    try {
      resampler = tools().Resampler.create({
        inputRate: numbers.get(inputRate) ?? 0,
        outputRate: numbers.get(outputRate) ?? 0,
        numChannels: numbers.get(numChannels) ?? 0,
        quality: recipe,
      });
    } catch {
      return undefined;
    }
    const handle = this.#newId();
    this.#resamplers.set(handle, { resampler, output: new Uint8Array(0) });
    const noInfo = messageField(2, []);
    return messageField(
      responses.newSoxResampler,
      messageField(1, [...messageField(1, numberField(1, handle)), ...noInfo]),
    );
  }

  /** The output is there until the resampler's next, as with the native engine. */
  #resample(
    { numbers }: ProgramRequest,
    response: number,
    work: (resampler: Resampler) => Int16Array,
  ): number[] | undefined {
    const held = this.#resamplers.get(numbers.get(handleField) ?? 0);
    if (!held) return undefined;
    const samples = work(held.resampler);
    // An address is a buffer's: one that the resampler uses again would be read too late.
    held.output = new Uint8Array(samples.slice().buffer);
    const { pointer, size } = outputFields;
    const address = samples.length > 0 ? this.#memory.addressOf(held.output) : 0;
    return messageField(response, [
      ...numberField(pointer, address),
      ...numberField(size, held.output.length),
    ]);
  }

  #newModule({ numbers }: ProgramRequest): number[] {
    const isOn = (field: number) => numbers.get(field) === 1;
    const module = new (tools().AudioProcessing)({
      echoCancellation: isOn(newApm.echoCanceller),
      gainControl: isOn(newApm.gainController),
      highPass: isOn(newApm.highPassFilter),
      noiseSuppression: isOn(newApm.noiseSuppression),
      createRateConverter: (rates) => tools().Resampler.create({ ...rates, primed: true }),
    });
    const handle = this.#newId();
    this.#modules.set(handle, module);
    return messageField(responses.newApm, owned(1, handle));
  }

  #withModule(
    { numbers }: ProgramRequest,
    response: number,
    work: (module: AudioProcessing) => void,
  ): number[] | undefined {
    const module = this.#modules.get(numbers.get(handleField) ?? 0);
    if (!module) return undefined;
    try {
      work(module);
      return messageField(response, []);
    } catch (error) {
      if (error instanceof RangeError) throw error;
      return messageField(response, textField(apmErrorField, tools().describeError(error)));
    }
  }

  #audioOf(request: ProgramRequest): [samples: Int16Array, sampleRate: number, numChannels: number] {
    const { sampleRate, numChannels } = samplesFields;
    const { numbers } = request;
    return [this.#samplesOf(request), numbers.get(sampleRate) ?? 0, numbers.get(numChannels) ?? 0];
  }

  /** The samples that the request points to, where the program keeps them. */
  #samplesOf({ numbers }: ProgramRequest): Int16Array {
    const values = Math.floor((numbers.get(samplesFields.size) ?? 0) / sampleBytes);
    const bytes = this.#memory.view(numbers.get(samplesFields.pointer) ?? 0, values * sampleBytes);
    if (bytes.byteOffset % sampleBytes !== 0) {
      throw new RangeError('samples of 16 bits do not begin at an odd address');
    }
    return new Int16Array(bytes.buffer, bytes.byteOffset, values);
  }
}

/** A negative number is a very large one in protobuf's encoding, too large to be told exactly. */
const signed = (value: number) => (value >= 2 ** 63 ? -1 : value);

export = AudioRequests;
