import { Resampler } from '../../audio/index.js';
import { AudioProcessing } from '../../filters/index.js';
import type { Context } from '../context.js';
import { bytesOf } from '../conversion/audio-frame.js';
import type { Handler } from '../handler.js';

export const newApm: Handler<'newApm'> = (request, { handles }) => {
  const processing = new AudioProcessing({
    echoCancellation: request.echoCancellerEnabled,
    gainControl: request.gainControllerEnabled,
    highPass: request.highPassFilterEnabled,
    noiseSuppression: request.noiseSuppressionEnabled,
    createRateConverter: (rates) => Resampler.create({ ...rates, primed: true }),
  });
  return { apm: { handle: { id: BigInt(handles.add(processing, () => processing.close())) } } };
};

interface ApmAudio {
  apmHandle?: bigint;
  dataPtr?: bigint;
  size?: number;
  sampleRate?: number;
  numChannels?: number;
}

/** The processing that the request names, and what it points to. */
function audioOf(
  { apmHandle, dataPtr, size = 0, sampleRate = 0, numChannels = 0 }: ApmAudio,
  context: Context,
) {
  const processing = context.handles.get(apmHandle, AudioProcessing);
  return { processing, samples: context.memory.readSamples(dataPtr, size), sampleRate, numChannels };
}

/** The samples are changed where the program keeps them. */
export const apmProcessStream: Handler<'apmProcessStream'> = (request, context) => {
  const { processing, samples, sampleRate, numChannels } = audioOf(request, context);
  processing.process(samples, sampleRate, numChannels);
  context.memory.write(request.dataPtr, bytesOf(samples));
  return {};
};

export const apmProcessReverseStream: Handler<'apmProcessReverseStream'> = (request, context) => {
  const { processing, samples, sampleRate, numChannels } = audioOf(request, context);
  processing.processReverse(samples, sampleRate, numChannels);
  return {};
};

export const apmSetStreamDelay: Handler<'apmSetStreamDelay'> = ({ apmHandle, delayMs = 0 }, { handles }) => {
  handles.get(apmHandle, AudioProcessing).setStreamDelay(delayMs);
  return {};
};
