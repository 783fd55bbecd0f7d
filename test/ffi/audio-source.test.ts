import { AudioSourceType } from '@livekit/rtc-ffi-bindings/proto/audio_frame_pb.js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { frameAt, InProcess } from './in-process.js';

const sampleRate = 48_000;
let ffi: InProcess;
beforeEach(() => {
  ffi = new InProcess();
});
afterEach(() => ffi.dispose());

function newSource(queueSizeMs: number): bigint {
  const { source } = ffi.request({
    case: 'newAudioSource',
    value: { type: AudioSourceType.AUDIO_SOURCE_NATIVE, sampleRate, numChannels: 1, queueSizeMs },
  });
  return source!.handle!.id!;
}

function capture(sourceHandle: bigint, durationMs: number, rate = sampleRate): bigint {
  const { info, memory } = frameAt(0x10_000n, new Int16Array((rate * durationMs) / 1000), rate);
  return ffi.request({ case: 'captureAudioFrame', value: { sourceHandle, buffer: info } }, [memory]).asyncId!;
}

const captured = (asyncId: bigint) => ffi.waitFor('captureAudioFrame', (value) => value.asyncId === asyncId);

describe('an audio source', () => {
  test('lets captures through while its queue has room, and paces the rest', async () => {
    const source = newSource(100);
    const startedMs = performance.now();
    const fits = capture(source, 100);
    const waits = capture(source, 200);
    await captured(fits);
    expect(ffi.events).toHaveLength(1);
    await captured(waits);
    expect(performance.now() - startedMs).toBeGreaterThan(150);
  });

  test('resolves the captures that wait when it is cleared', async () => {
    const source = newSource(10);
    const waits = capture(source, 5_000);
    ffi.request({ case: 'clearAudioBuffer', value: { sourceHandle: source } });
    expect((await captured(waits)).error).toBeUndefined();
  });

  test('says in the callback what is wrong with a frame of another format', async () => {
    const { error } = await captured(capture(newSource(1_000), 10, 16_000));
    expect(error).toContain('16000 Hz');
    expect(error).toContain('48000 Hz');
  });

  test('still plays what was captured when its handle is dropped', async () => {
    const source = newSource(50);
    const waits = capture(source, 150);
    expect(ffi.drop(source)).toBe(true);
    expect((await captured(waits)).error).toBeUndefined();
    expect(() => capture(source, 10)).toThrow(/handle \d+ is unknown/);
  });

  test('refuses an unusable format', () => {
    expect(() =>
      ffi.request({
        case: 'newAudioSource',
        value: { type: AudioSourceType.AUDIO_SOURCE_NATIVE, sampleRate: 0, numChannels: 0, queueSizeMs: 10 },
      }),
    ).toThrow(/newAudioSource: audio source: 0 is not a valid sample rate/);
  });

  test('keeps the program alive only while a capture awaits its callback', async () => {
    const waits = capture(newSource(10), 60);
    expect(ffi.open.size).toBe(1);
    await captured(waits);
    expect(ffi.open.size).toBe(0);
  });
});
