import { Resampler, type ResamplerQuality, remix } from '../../audio/index.js';
import { OffhookError } from '../../errors/index.js';
import type { Context } from '../context.js';
import { bytesOf, frameOf, toFfiFrame } from '../conversion/audio-frame.js';
import type { Handler } from '../handler.js';
import { SoxQualityRecipe, SoxResamplerDataType } from '../protocol.js';

const qualities: Record<SoxQualityRecipe, ResamplerQuality> = {
  [SoxQualityRecipe.SOXR_QUALITY_QUICK]: 'quick',
  [SoxQualityRecipe.SOXR_QUALITY_LOW]: 'low',
  [SoxQualityRecipe.SOXR_QUALITY_MEDIUM]: 'medium',
  [SoxQualityRecipe.SOXR_QUALITY_HIGH]: 'high',
  [SoxQualityRecipe.SOXR_QUALITY_VERYHIGH]: 'veryHigh',
};

export const newSoxResampler: Handler<'newSoxResampler'> = (request, { handles }) => {
  const { inputRate = 0, outputRate = 0, numChannels = 0, inputDataType, outputDataType } = request;
  for (const type of [inputDataType, outputDataType]) {
    if (type !== undefined && type !== SoxResamplerDataType.SOXR_DATATYPE_INT16I) {
      throw new OffhookError('OFFHOOK_NOT_SUPPORTED', 'resampler: only interleaved samples are supported');
    }
  }
  const quality = qualities[request.qualityRecipe ?? SoxQualityRecipe.SOXR_QUALITY_MEDIUM];
  const resampler = Resampler.create({ inputRate, outputRate, numChannels, quality });
  const id = BigInt(handles.add(resampler));
  return { message: { case: 'resampler', value: { handle: { id }, info: {} } } };
};

export const pushSoxResampler: Handler<'pushSoxResampler'> = (request, context) => {
  const resampler = context.handles.get(request.resamplerHandle, Resampler);
  const samples = context.memory.readSamples(request.dataPtr, request.size ?? 0);
  return output(resampler.push(samples), request.resamplerHandle, context);
};

export const flushSoxResampler: Handler<'flushSoxResampler'> = ({ resamplerHandle }, context) => {
  const resampler = context.handles.get(resamplerHandle, Resampler);
  return output(resampler.flush(), resamplerHandle, context);
};

/** The output is there until the resampler's next, as with the native engine. */
function output(samples: Int16Array, resamplerHandle: bigint | undefined, context: Context) {
  if (samples.length === 0) return { outputPtr: 0n, size: 0 };
  const buffer = context.lendBufferOf(Number(resamplerHandle), bytesOf(samples));
  context.answerWith(buffer);
  return { outputPtr: BigInt(buffer.address), size: buffer.bytes.length };
}

/** Changes rate and channels of frames of any format; it keeps the state of the last one. */
class FrameResampler {
  #resampler: Resampler | undefined;
  #format = '';

  convert(samples: Int16Array, from: Format, to: Format): Int16Array {
    const format = `${from.sampleRate} ${to.sampleRate} ${to.numChannels}`;
    if (format !== this.#format) {
      this.#resampler = Resampler.create({
        inputRate: from.sampleRate,
        outputRate: to.sampleRate,
        numChannels: to.numChannels,
        primed: true,
      });
      this.#format = format;
    }
    return this.#resampler!.push(remix(samples, from.numChannels, to.numChannels));
  }
}

interface Format {
  sampleRate: number;
  numChannels: number;
}

export const newAudioResampler: Handler<'newAudioResampler'> = (_request, { handles }) => ({
  resampler: { handle: { id: BigInt(handles.add(new FrameResampler())) }, info: {} },
});

export const remixAndResample: Handler<'remixAndResample'> = (request, context) => {
  const resampler = context.handles.get(request.resamplerHandle, FrameResampler);
  const input = frameOf(request.buffer, context.memory);
  const { sampleRate = 0, numChannels = 0 } = request;
  const data = resampler.convert(input.data, input, { sampleRate, numChannels });
  const buffer = context.lendBuffer(bytesOf(data));
  context.answerWith(buffer);
  const frame = { data, sampleRate, numChannels, samplesPerChannel: data.length / numChannels };
  return { buffer: toFfiFrame(frame, buffer) };
};
