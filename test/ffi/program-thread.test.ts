import { createRequire } from 'node:module';
import { FfiEvent, FfiRequest, FfiResponse } from '@livekit/rtc-ffi-bindings/proto/ffi_pb.js';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

// All of them run in the program's thread, as CommonJS; they are tested as they are shipped.
const require = createRequire(import.meta.url);
const ProgramMemory: new () => {
  addressOf(bytes: Uint8Array): number;
  lend(buffer: { address: number; bytes: Uint8Array; handle: number; holds: 'own' | 'shared' }): void;
  release(handle: number): string | undefined;
  view(address: number, length: number): Uint8Array;
} = require('../../dist/ffi/program/program-memory.cjs');
interface Postable {
  response: number;
  later?: { callback: string; idField: number };
}
const ProgramRequest: new (
  bytes: Uint8Array,
) => {
  kind: number;
  postable: Postable | undefined;
  numbers: ReadonlyMap<number, number>;
  buffer(): { address: number; length: number } | undefined;
} = require('../../dist/ffi/program/program-request.cjs');
interface LentBuffer {
  address: number;
  bytes: Uint8Array;
  handle: number;
  holds: 'own' | 'shared';
}
interface BatchedEvent {
  bytes: Uint8Array;
  to?: number;
  buffers?: LentBuffer[];
}
const EventBatch: {
  new (): { add(event: BatchedEvent): void; take(): Uint8Array; readonly length: number };
  read(batch: Uint8Array): Iterable<BatchedEvent>;
} = require('../../dist/ffi/program/event-batch.cjs');

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
    expect(() => memory.view(first, 1)).toThrow(/belongs to no buffer/);
    expect([...memory.view(second, 1)]).toEqual([2]);
    expect(memory.release(7)).toBe('shared');
    expect(() => memory.view(second, 1)).toThrow(/belongs to no buffer/);
    expect(memory.release(7)).toBeUndefined();
  });
});

describe('the buffer of a request', () => {
  const pointer = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
  const count = fc.integer({ min: 0, max: 100_000 });

  /** What the program's thread finds in `bytes`; undefined when it refuses them. */
  function bufferIn(bytes: Uint8Array) {
    try {
      return new ProgramRequest(bytes).buffer();
    } catch (error) {
      expect(error).toBeInstanceOf(RangeError);
      return undefined;
    }
  }

  function isWellFormed(bytes: Uint8Array): boolean {
    try {
      return Buffer.from(FfiRequest.fromBinary(bytes).toBinary()).equals(bytes);
    } catch {
      return false;
    }
  }

  /** What the message classes make of them. */
  function wantedOf(bytes: Uint8Array) {
    try {
      const { message } = FfiRequest.fromBinary(bytes);
      if (message.case !== 'captureAudioFrame') return undefined;
      const { dataPtr, numChannels = 0, samplesPerChannel = 0 } = message.value.buffer ?? {};
      const length = numChannels * samplesPerChannel * 2;
      return dataPtr ? { address: Number(dataPtr), length } : undefined;
    } catch {
      return undefined;
    }
  }

  test('is found where captures, data and resamplers keep it', () => {
    fc.assert(
      fc.property(pointer, count, fc.integer({ min: 1, max: 8 }), (address, length, numChannels) => {
        const dataPtr = BigInt(address);
        const buffer = { dataPtr, numChannels, sampleRate: 48_000, samplesPerChannel: length };
        const local = { localParticipantHandle: 1n, reliable: true };
        const encoded = (message: ConstructorParameters<typeof FfiRequest>[0]) =>
          new ProgramRequest(new FfiRequest(message).toBinary()).buffer();
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

  test('is not found in bytes that are not a request', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        expect(bufferIn(bytes)).toEqual(wantedOf(bytes));
      }),
    );
  });

  test('is not found, or refused, in a request that is cut off or has a changed byte', () => {
    const buffer = { dataPtr: 70_000n, numChannels: 2, sampleRate: 48_000, samplesPerChannel: 480 };
    const whole = new FfiRequest({
      message: { case: 'captureAudioFrame', value: { sourceHandle: 1n, buffer } },
    }).toBinary();
    expect(bufferIn(whole)).toEqual({ address: 70_000, length: 1920 });
    for (let end = 0; end < whole.length; end++)
      expect(bufferIn(whole.subarray(0, end)), `${end}`).toBeUndefined();
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), (at, byte) => {
        const changed = Uint8Array.from(whole);
        changed[at] = byte;
        const found = bufferIn(changed);
        // The message classes take lengths that do not fit; of what is well-formed, both make the same.
        if (isWellFormed(changed)) expect(found).toEqual(wantedOf(changed));
      }),
    );
  });
});

describe('a request that is answered without the engine', () => {
  const fieldOf = (
    message: { fields: { list(): readonly { localName: string; no: number }[] } },
    name: string,
  ) => message.fields.list().find(({ localName }) => localName === name);
  const requests = FfiRequest.fields.list().flatMap((field) => (field.kind === 'message' ? [field] : []));
  // Written by hand: the message classes want every field that a request needs.
  const parsed = requests.map(({ localName, no, T }) => {
    const idField = fieldOf(T, 'requestAsyncId')?.no;
    const value = idField ? [idField << 3, 77] : [];
    const tag = no * 8 + 2;
    const bytes = Uint8Array.of((tag % 128) | 128, Math.floor(tag / 128), value.length, ...value);
    return { name: localName, type: T, request: new ProgramRequest(bytes) };
  });
  const postable = parsed.flatMap(({ request: { postable, ...request }, ...rest }) =>
    postable ? [{ ...rest, request, postable }] : [],
  );

  test('is named by the same numbers as in the protocol', () => {
    expect(postable.length).toBeGreaterThan(20);
    for (const { name, request, type, postable: row } of postable) {
      const answeredAs = name === 'editChatMessage' ? 'sendChatMessage' : name;
      expect(row.response, name).toBe(fieldOf(FfiResponse, answeredAs)?.no);
      expect(request.kind, name).toBe(fieldOf(FfiRequest, name)?.no);
      const idField = fieldOf(type, 'requestAsyncId')?.no;
      expect(row.later?.idField, name).toBe(idField);
      if (idField) expect(request.numbers.get(idField), name).toBe(77);
    }
  });

  test('has a response, and a callback, that bear the id and nothing else that is needed', () => {
    for (const { name, postable: row } of postable) {
      const response = FfiResponse.fields.find(row.response);
      const responseFields = response?.kind === 'message' ? response.T.fields.list() : [];
      if (!row.later) {
        expect(
          responseFields.every(({ localName }) => localName === 'error'),
          name,
        ).toBe(true);
        continue;
      }
      expect(
        responseFields.map(({ localName, no }) => [localName, no]),
        name,
      ).toEqual([['asyncId', 1]]);
      const event = FfiEvent.fields.list().find(({ localName }) => localName === row.later?.callback);
      const eventFields = event?.kind === 'message' ? event.T.fields.list() : [];
      expect(
        eventFields.some(({ localName, no }) => localName === 'asyncId' && no === 1),
        name,
      ).toBe(true);
    }
  });
});

describe('a batch of events', () => {
  const number = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
  const buffer = fc.record({
    address: number,
    handle: number,
    holds: fc.constantFrom('own' as const, 'shared' as const),
    bytes: fc.uint8Array({ maxLength: 2_000 }),
  });
  const event = fc.record(
    {
      bytes: fc.uint8Array({ minLength: 1, maxLength: 300 }),
      to: number,
      buffers: fc.array(buffer, { minLength: 1, maxLength: 3 }),
    },
    { requiredKeys: ['bytes'] },
  );

  test('comes out as it went in, however often the batch is taken', () => {
    fc.assert(
      fc.property(fc.array(fc.array(event, { maxLength: 20 }), { maxLength: 5 }), (turns) => {
        const batch = new EventBatch();
        for (const events of turns) {
          expect(batch.length).toBe(0);
          for (const each of events) batch.add(each);
          expect([...EventBatch.read(batch.take())]).toEqual(events);
        }
      }),
    );
  });

  test('stays as it was when the memory of the events is reused', () => {
    const batch = new EventBatch();
    const [bytes, samples] = [Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5)];
    batch.add({ bytes, buffers: [{ address: 1, handle: 2, holds: 'own', bytes: samples }] });
    bytes.fill(9);
    samples.fill(9);
    const [read] = EventBatch.read(batch.take());
    expect([...read!.bytes]).toEqual([1, 2, 3]);
    expect([...read!.buffers![0]!.bytes]).toEqual([4, 5]);
  });
});
