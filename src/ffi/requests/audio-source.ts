import { AudioSource } from '../../audio/index.js';
import { createLogger } from '../../logging/index.js';
import { frameOf } from '../conversion/audio-frame.js';
import type { Handler } from '../handler.js';
import { AudioSourceType } from '../protocol.js';

const log = createLogger('ffi');

export const newAudioSource: Handler<'newAudioSource'> = (request, { handles }) => {
  const { type = AudioSourceType.AUDIO_SOURCE_NATIVE, sampleRate, numChannels, queueSizeMs } = request;
  if (type === AudioSourceType.AUDIO_SOURCE_PLATFORM)
    log.warn('the source of the machine’s microphone is silent: offhook does not open sound cards');
  const source = new AudioSource({
    sampleRate: sampleRate ?? 48_000,
    numChannels: numChannels ?? 1,
    queueSizeMs: queueSizeMs ?? 1_000,
  });
  // What was captured is still played when the program has let go of the source.
  const close = () => void setTimeout(() => source.close(), source.queuedMs);
  return { source: { handle: { id: BigInt(handles.add(source, close)) }, info: { type } } };
};

export const captureAudioFrame: Handler<'captureAudioFrame'> = (request, context) => {
  const source = context.handles.get(request.sourceHandle, AudioSource);
  const frame = frameOf(request.buffer, context.memory);
  return context.call('captureAudioFrame', request.requestAsyncId, async () => {
    await source.captureFrame(frame);
    return {};
  });
};

export const clearAudioBuffer: Handler<'clearAudioBuffer'> = ({ sourceHandle }, { handles }) => {
  handles.get(sourceHandle, AudioSource).clearQueue();
  return {};
};
