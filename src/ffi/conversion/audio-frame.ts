import type {
  AudioFrameBufferInfo,
  OwnedAudioFrameBuffer,
} from '@livekit/rtc-ffi-bindings/proto/audio_frame_pb.js';
import type { AudioFrame } from '../../audio/index.js';
import type { EngineMemory } from '../engine-memory.js';
import type { InitOf } from '../messages.js';
import type { LentBuffer } from '../wire.js';

const sampleBytes = 2;

/**
 * The frame that a request points to.
 *
 * @throws OffhookError `OFFHOOK_INVALID_REQUEST`
 */
export function frameOf(info: AudioFrameBufferInfo | undefined, memory: EngineMemory): AudioFrame {
  const { dataPtr, numChannels = 0, sampleRate = 0, samplesPerChannel = 0 } = info ?? {};
  const data = memory.readSamples(dataPtr, numChannels * samplesPerChannel * sampleBytes);
  return { data, sampleRate, numChannels, samplesPerChannel };
}

/** The bytes of samples, in a buffer of their own. */
export function bytesOf(samples: Int16Array): Uint8Array {
  const own = samples.byteLength === samples.buffer.byteLength ? samples : samples.slice();
  return new Uint8Array(own.buffer);
}

export function toFfiFrame(frame: AudioFrame, buffer: LentBuffer): InitOf<OwnedAudioFrameBuffer> {
  return {
    handle: { id: BigInt(buffer.handle) },
    info: {
      dataPtr: BigInt(buffer.address),
      numChannels: frame.numChannels,
      sampleRate: frame.sampleRate,
      samplesPerChannel: frame.samplesPerChannel,
    },
  };
}
