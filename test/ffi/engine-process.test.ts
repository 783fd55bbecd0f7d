import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { OffhookError } from '../../src/errors/index.js';
import { Arena } from '../../src/ffi/process/arena.js';
import {
  encodeNote,
  encodeSession,
  MessageReader,
  readHandles,
  readHello,
  readPreface,
  readRequest,
  readSession,
  wireVersion,
} from '../../src/ffi/process/wire.js';

describe('the arena in the program’s memory', () => {
  test('never gives out bytes that are in use', () => {
    const steps = fc.array(fc.oneof(fc.nat(5_000), fc.constant('free' as const)), { maxLength: 300 });
    fc.assert(
      fc.property(steps, (sizes) => {
        const arena = new Arena(4_096, 2 ** 21);
        const used: { start: number; end: number }[] = [];
        for (const size of sizes) {
          if (size === 'free') {
            const gone = used.shift();
            if (gone) arena.free(gone.start);
            continue;
          }
          const start = arena.allocate(size);
          const end = start + size;
          expect(start % 64).toBe(0);
          expect(start >= 4_096 && end <= 4_096 + 2 ** 21).toBe(true);
          expect(used.some((other) => start < other.end && other.start < end)).toBe(false);
          used.push({ start, end: Math.max(end, start + 1) });
        }
      }),
    );
  });

  test('uses what was freed before it takes more', () => {
    const arena = new Arena(0, 2 ** 20);
    const addresses = new Set<number>();
    for (let i = 0; i < 10_000; i++) {
      const address = arena.allocate(900 + (i % 61));
      addresses.add(address);
      arena.free(address);
    }
    expect(addresses.size).toBe(1);
  });

  test('says so when it is full, and goes on when there is room again', () => {
    const arena = new Arena(0, 2_048);
    const first = arena.allocate(1_024);
    arena.allocate(1_024);
    expect(() => arena.allocate(1_024)).toThrow(expect.objectContaining({ code: 'OFFHOOK_OUT_OF_MEMORY' }));
    arena.free(first);
    arena.free(first);
    expect(arena.allocate(1_000)).toBe(first);
    expect(() => arena.allocate(1_000)).toThrow(OffhookError);
  });
});

describe('what the C library sends', () => {
  test('is read the same however it is cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(2 ** 32), { minLength: 1, maxLength: 20 }),
        fc.infiniteStream(fc.integer({ min: 1, max: 40 })),
        (ids, cuts) => {
          const stream = Buffer.concat(ids.map((id) => encodeNote(3, id)));
          const reader = new MessageReader();
          const read: number[] = [];
          for (let at = 0; at < stream.length; ) {
            const length = cuts.next().value as number;
            for (const { id } of reader.push(stream.subarray(at, at + length))) read.push(id);
            at += length;
          }
          expect(read).toEqual(ids);
        },
      ),
    );
  });

  test('is never more than a typed error when it is garbage', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const body = Buffer.from(bytes);
        const readers = [
          readHello,
          readRequest,
          readHandles,
          readPreface,
          readSession,
          (all: Buffer) => [...new MessageReader().push(all)],
        ];
        for (const read of readers) {
          try {
            read(body);
          } catch (error) {
            expect(error).toBeInstanceOf(OffhookError);
          }
        }
      }),
    );
  });

  test('is refused when its library is of another release', () => {
    const hello = Buffer.alloc(40);
    for (const version of [wireVersion - 1, wireVersion + 1]) {
      hello.writeUInt32LE(version, 0);
      expect(() => readHello(hello)).toThrow('library and engine must be of one release');
    }
    hello.writeUInt32LE(wireVersion, 0);
    expect(readHello(hello)).toMatchObject({ captureLogs: false, sdk: '' });
  });

  test('names the rooms of a former engine as the former engine kept them', () => {
    const session = { url: 'ws://a', token: 't', participantSid: 'PA_1', isSingle: true };
    const [message] = [...new MessageReader().push(encodeSession({ id: 7, session }))];
    expect(message).toMatchObject({ id: 7 });
    expect(readSession(message!.body)).toEqual(session);
    expect(encodeSession({ id: 7 }).readUInt32LE(0)).toBe(0);
  });
});
