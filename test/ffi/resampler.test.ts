import { SoxQualityRecipe, SoxResamplerDataType } from '@livekit/rtc-ffi-bindings/proto/audio_frame_pb.js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { dominantFrequencyHz, levelDbfs, makeTone } from '../support/tone.js';
import { frameAt, InProcess } from './in-process.js';

const address = 0x10_000n;
let ffi: InProcess;
beforeEach(() => {
  ffi = new InProcess();
});
afterEach(() => ffi.dispose());

const samplesAt = (pointer: bigint, size: number) => {
  const bytes = ffi.lent.get(pointer)!;
  return new Int16Array(bytes.buffer, bytes.byteOffset, size / 2);
};

function newSox(more: Record<string, unknown> = {}) {
  return ffi.request({
    case: 'newSoxResampler',
    value: {
      inputRate: 48_000,
      outputRate: 16_000,
      numChannels: 1,
      inputDataType: SoxResamplerDataType.SOXR_DATATYPE_INT16I,
      outputDataType: SoxResamplerDataType.SOXR_DATATYPE_INT16I,
      qualityRecipe: SoxQualityRecipe.SOXR_QUALITY_MEDIUM,
      ...more,
    },
  }).message;
}

describe('the sox resampler', () => {
  test('turns 48 kHz into 16 kHz with frequency and level kept, and flushes the rest', () => {
    const message = newSox();
    if (message.case !== 'resampler') throw new Error(message.value);
    const resamplerHandle = message.value.handle!.id!;
    const { samples } = makeTone(440, 500, 48_000, -20);
    const bytes = new Uint8Array(samples.buffer);
    const pushed = ffi.request(
      { case: 'pushSoxResampler', value: { resamplerHandle, dataPtr: address, size: bytes.length } },
      [[address, bytes]],
    );
    const first = samplesAt(pushed.outputPtr!, pushed.size!);
    const flushed = ffi.request({ case: 'flushSoxResampler', value: { resamplerHandle } });
    const rest = samplesAt(flushed.outputPtr!, flushed.size!);
    expect(first.length + rest.length).toBe(8_000);
    expect(dominantFrequencyHz({ samples: first, sampleRate: 16_000 })).toBe(440);
    expect(levelDbfs(first)).toBeCloseTo(-20, 0);
  });

  test('answers what it cannot do in its own error field', () => {
    const planar = newSox({ inputDataType: SoxResamplerDataType.SOXR_DATATYPE_INT16S });
    expect(planar.case).toBe('error');
    expect(planar.value).toContain('interleaved');
    expect(newSox({ inputRate: 0 }).value).toContain('0 is not a valid input rate');
  });

  test('says so when its handle is unknown', () => {
    const answer = ffi.request(
      { case: 'pushSoxResampler', value: { resamplerHandle: 99n, dataPtr: address, size: 2 } },
      [[address, new Uint8Array(2)]],
    );
    expect(answer.error).toContain('handle 99 is unknown');
  });
});

describe('the frame resampler', () => {
  test('remixes to mono and resamples, and follows a change of format', () => {
    const { resampler } = ffi.request({ case: 'newAudioResampler', value: {} });
    const resamplerHandle = resampler!.handle!.id!;
    for (const [rate, channels] of [
      [48_000, 2],
      [24_000, 1],
    ] as const) {
      const { info, memory } = frameAt(address, new Int16Array((rate / 100) * channels), rate, channels);
      const { buffer } = ffi.request(
        {
          case: 'remixAndResample',
          value: { resamplerHandle, buffer: info, numChannels: 1, sampleRate: 16_000 },
        },
        [memory],
      );
      expect(buffer!.info).toMatchObject({ numChannels: 1, sampleRate: 16_000, samplesPerChannel: 160 });
      expect(ffi.lent.get(buffer!.info!.dataPtr!)).toHaveLength(320);
    }
  });
});
