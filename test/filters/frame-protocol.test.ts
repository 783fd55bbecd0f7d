import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decodeControl,
  encodeControl,
  encodeMessage,
  type FrameMessage,
  MessageReader,
  messageTypes,
} from '../../src/filters/frame-protocol.js';
import { bytesOf, samplesOf } from '../../src/filters/samples.js';

const u32 = fc.integer({ min: 0, max: 0xffffffff });
const message: fc.Arbitrary<FrameMessage> = fc.record({
  type: fc.constantFrom(...Object.values(messageTypes)),
  format: fc.constantFrom('int16' as const, 'float' as const),
  stream: u32,
  sequence: u32,
  value: u32,
  payload: fc.uint8Array({ maxLength: 300 }),
});

/** Cuts bytes at the given places. */
function cut(bytes: Uint8Array, sizes: number[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  let at = 0;
  for (const size of sizes) {
    pieces.push(bytes.subarray(at, at + size));
    at += size;
  }
  return [...pieces, bytes.subarray(at)];
}

const plain = (read: FrameMessage) => ({ ...read, payload: Uint8Array.from(read.payload) });

describe('messages between the engine and a filter host', () => {
  test('arrive as they were sent, however the bytes are cut', () => {
    fc.assert(
      fc.property(fc.array(message, { maxLength: 5 }), fc.array(fc.nat({ max: 200 })), (messages, sizes) => {
        const reader = new MessageReader();
        const bytes = Buffer.concat(messages.map(encodeMessage));
        const read = cut(bytes, sizes).flatMap((piece) => reader.push(piece).map(plain));
        expect(read).toEqual(messages);
      }),
    );
  });

  test('never turn random bytes into more than a known error', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 })), (chunks) => {
        const reader = new MessageReader();
        try {
          for (const chunk of chunks) for (const read of reader.push(chunk)) decodeControl(read);
        } catch (error) {
          expect(error).toMatchObject({ code: 'OFFHOOK_PROTOCOL' });
        }
      }),
    );
  });

  test('do not change when the buffer they came in is filled again', () => {
    const reader = new MessageReader();
    const bytes = encodeControl({ op: 'create' });
    const chunk = Buffer.from(bytes.subarray(0, 25));
    reader.push(chunk);
    chunk.fill(0);
    const [read] = reader.push(bytes.subarray(25));
    expect(decodeControl(read!)).toEqual({ op: 'create' });
  });

  test.each(['int16', 'float'] as const)(
    'carry %s samples from any address, and no more of them',
    (format) => {
      const samples = format === 'float' ? Float32Array.of(0.5, -1, 0.25) : Int16Array.of(1, -32768, 3);
      const shifted = Buffer.concat([Buffer.alloc(1), bytesOf(samples), Buffer.alloc(64)]);
      const payload = shifted.subarray(1, 1 + samples.byteLength);
      expect(samplesOf(payload, format)).toEqual(samples);
      expect(samplesOf(payload, format).buffer.byteLength).toBe(samples.byteLength);
    },
  );

  test('refuse a payload that is larger than any frame', () => {
    const header = encodeControl({}).subarray(0, 20);
    header.writeUInt32LE(0x7fffffff, 0);
    expect(() => new MessageReader().push(header)).toThrow('not a message');
  });
});
