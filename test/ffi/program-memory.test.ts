import { createRequire } from 'node:module';
import { FfiRequest } from '@livekit/rtc-ffi-bindings/proto/ffi_pb.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

// Both run in the program's thread, as CommonJS; they are tested as they are shipped.
const require = createRequire(import.meta.url);
const ProgramMemory: new () => {
  addressOf(bytes: Uint8Array): number;
  lend(buffer: { address: number; bytes: Uint8Array; handle: number; holds: 'own' | 'shared' }): void;
  release(handle: number): string | undefined;
  view(address: number, length: number): Uint8Array;
} = require('../../dist/ffi/program/program-memory.cjs');
const requestBuffer: (request: Uint8Array) => { address: number; length: number } | undefined =
  require('../../dist/ffi/program/request-buffer.cjs');

describe("the program's memory", () => {
  test('leads from base and offset to the bytes, for buffers of any size side by side', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 200_000 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(sizes, fc.double({ min: 0, max: 1, noNaN: true }), (lengths, part) => {
        const memory = new ProgramMemory();
        const buffers = lengths.map((length, i) => new Uint8Array(length).fill(i + 1));
        const addresses = buffers.map((buffer) => memory.addressOf(buffer));
        for (const [i, buffer] of buffers.entries()) {
          const offset = Math.floor((buffer.length - 1) * part);
          const found = memory.view(addresses[i]! + offset, buffer.length - offset);
          expect(found).toHaveLength(buffer.length - offset);
          expect(found[0]).toBe(i + 1);
          expect(() => memory.view(addresses[i]! + offset, buffer.length - offset + 1)).toThrow(RangeError);
        }
      }),
      { numRuns: 50 },
    );
  });

  test('gives a buffer one address for its life, and its views addresses within it', () => {
    const memory = new ProgramMemory();
    const bytes = new Uint8Array(100);
    expect(memory.addressOf(bytes)).toBe(memory.addressOf(bytes));
    expect(memory.addressOf(bytes.subarray(40))).toBe(memory.addressOf(bytes) + 40);
  });

  test('keeps what is lent until it is released, and the next of an object in place of the last', () => {
    const memory = new ProgramMemory();
    const [first, second] = [2 ** 48, 2 ** 48 + 65_536];
    memory.lend({ address: first, bytes: Uint8Array.of(1), handle: 7, holds: 'shared' });
    memory.lend({ address: second, bytes: Uint8Array.of(2), handle: 7, holds: 'shared' });
    expect(() => memory.view(first, 1)).toThrow(/leads to no buffer/);
    expect([...memory.view(second, 1)]).toEqual([2]);
    expect(memory.release(7)).toBe('shared');
    expect(() => memory.view(second, 1)).toThrow(/leads to no buffer/);
    expect(memory.release(7)).toBeUndefined();
  });
});

describe('the buffer of a request', () => {
  const pointer = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
  const count = fc.integer({ min: 0, max: 100_000 });

  test('is found where captures, data and resamplers keep it', () => {
    fc.assert(
      fc.property(pointer, count, fc.integer({ min: 1, max: 8 }), (address, length, numChannels) => {
        const dataPtr = BigInt(address);
        const buffer = { dataPtr, numChannels, sampleRate: 48_000, samplesPerChannel: length };
        const local = { localParticipantHandle: 1n, reliable: true };
        const encoded = (message: ConstructorParameters<typeof FfiRequest>[0]) =>
          requestBuffer(new FfiRequest(message).toBinary());
        expect(
          encoded({ message: { case: 'captureAudioFrame', value: { sourceHandle: 1n, buffer } } }),
        ).toEqual({
          address,
          length: length * numChannels * 2,
        });
        expect(
          encoded({
            message: { case: 'publishData', value: { ...local, dataPtr, dataLen: BigInt(length) } },
          }),
        ).toEqual({ address, length });
        expect(
          encoded({
            message: { case: 'pushSoxResampler', value: { resamplerHandle: 1n, dataPtr, size: length } },
          }),
        ).toEqual({ address, length });
      }),
    );
  });

  test('is none in bytes that are no request', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        try {
          requestBuffer(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError);
        }
      }),
    );
  });
});
