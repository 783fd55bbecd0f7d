import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { levelDbfs, makeTone } from '../support/tone.js';
import { InProcess } from './in-process.js';

const dataPtr = 0x10_000n;
let ffi: InProcess;
beforeEach(() => {
  ffi = new InProcess();
});
afterEach(() => ffi.dispose());

const none = {
  echoCancellerEnabled: false,
  gainControllerEnabled: false,
  highPassFilterEnabled: false,
  noiseSuppressionEnabled: false,
};

function newApm(parts: Partial<typeof none>): bigint {
  return ffi.request({ case: 'newApm', value: { ...none, ...parts } }).apm!.handle!.id!;
}

/** Processes a second of a tone in one request; returns what was written back. */
function processTone(apmHandle: bigint, frequencyHz: number): Int16Array {
  const { samples } = makeTone(frequencyHz, 1_000, 16_000, -20);
  const bytes = new Uint8Array(samples.buffer);
  const value = { apmHandle, dataPtr, size: bytes.length, sampleRate: 16_000, numChannels: 1 };
  const response = ffi.request({ case: 'apmProcessStream', value }, [[dataPtr, bytes]]);
  const { writes = [] } = ffi;
  expect(response.error).toBeUndefined();
  expect(writes).toHaveLength(1);
  expect(writes[0]!.address).toBe(Number(dataPtr));
  const { buffer, byteOffset, byteLength } = writes[0]!.bytes;
  return new Int16Array(buffer, byteOffset, byteLength / 2);
}

describe('the audio processing module', () => {
  test('changes audio where the program keeps it', () => {
    const apmHandle = newApm({ highPassFilterEnabled: true });
    expect(levelDbfs(processTone(apmHandle, 1_000).subarray(8_000))).toBeCloseTo(-20, 0);
    expect(levelDbfs(processTone(apmHandle, 25).subarray(8_000))).toBeLessThan(-40);
    ffi.drop(apmHandle);
  });

  test('takes what is played, for echo cancellation', () => {
    const apmHandle = newApm({ echoCancellerEnabled: true });
    const bytes = new Uint8Array(960);
    const played = { apmHandle, dataPtr, size: bytes.length, sampleRate: 48_000, numChannels: 1 };
    const response = ffi.request({ case: 'apmProcessReverseStream', value: played }, [[dataPtr, bytes]]);
    expect(response.error).toBeUndefined();
    processTone(apmHandle, 1_000);
    ffi.drop(apmHandle);
  });

  test('answers bad audio with an error', () => {
    const apmHandle = newApm({ gainControllerEnabled: true });
    const bad = { apmHandle, dataPtr, size: 100, sampleRate: 48_000, numChannels: 1 };
    const memory: [bigint, Uint8Array][] = [[dataPtr, new Uint8Array(100)]];
    for (const name of ['apmProcessStream', 'apmProcessReverseStream'] as const) {
      expect(ffi.request({ case: name, value: bad }, memory).error).toContain('not a multiple of 10 ms');
      expect(ffi.request({ case: name, value: { ...bad, sampleRate: 44_123 } }, memory).error).toContain(
        'cannot be cut into 10 ms',
      );
    }
    expect(ffi.request({ case: 'apmSetStreamDelay', value: { apmHandle, delayMs: -1 } }).error).toContain(
      'a delay of -1 ms is',
    );
    expect(
      ffi.request({ case: 'apmSetStreamDelay', value: { apmHandle, delayMs: 20 } }).error,
    ).toBeUndefined();
  });
});
