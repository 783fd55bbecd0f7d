import { createLogger } from '../../logging/index.js';
import type { Context } from '../context.js';
import type { Handler } from '../handler.js';

const log = createLogger('ffi');

/** The machine's sound card. The engine opens none, so no handle is ever of one. */
class PlatformAudio {}

/** As the native engine on a machine without a sound card, in its words. */
export const newPlatformAudio: Handler<'newPlatformAudio'> = () => {
  log.info('the program asked for the machine’s sound card: offhook does not open sound cards');
  return { message: { case: 'error' as const, value: 'Failed to initialize platform audio' } };
};

/** Fails as for every unknown handle. */
function refuse({ platformAudioHandle }: { platformAudioHandle?: bigint }, { handles }: Context): never {
  handles.get(platformAudioHandle, PlatformAudio);
  throw new Error('platform audio is never opened, so that it has no handles');
}

export const getAudioDevices: Handler<'getAudioDevices'> = refuse;
export const setRecordingDevice: Handler<'setRecordingDevice'> = refuse;
export const setPlayoutDevice: Handler<'setPlayoutDevice'> = refuse;
export const startRecording: Handler<'startRecording'> = refuse;
export const stopRecording: Handler<'stopRecording'> = refuse;
