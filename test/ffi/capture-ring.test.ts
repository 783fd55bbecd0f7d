import { createRequire } from 'node:module';
import { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

// It runs in both threads, as CommonJS; it is tested as it is shipped.
const path = createRequire(import.meta.url).resolve('../../dist/ffi/program/capture-ring.cjs');
interface Ring {
  readonly buffer: SharedArrayBuffer;
  readonly queuedFrames: number;
  write(samples: Int16Array): boolean;
  read(target: Int16Array, frames: number): number;
  clear(): void;
  mustWake(): boolean;
  wait(): void;
  takeWaiting(): boolean;
  setAwake(awake: boolean): void;
}
const CaptureRing: {
  create(numChannels: number, frames: number): Ring;
  new (buffer: SharedArrayBuffer, numChannels: number): Ring;
} = createRequire(import.meta.url)(path);

describe('a ring of captured samples', () => {
  test('gives what was written, in order, and nothing that was cleared', () => {
    const write = fc.record({ act: fc.constant('write' as const), frames: fc.integer({ min: 0, max: 60 }) });
    const read = fc.record({ act: fc.constant('read' as const), frames: fc.integer({ min: 0, max: 60 }) });
    const clear = fc.record({ act: fc.constant('clear' as const), frames: fc.constant(0) });
    const acts = fc.array(fc.oneof({ weight: 5, arbitrary: write }, { weight: 5, arbitrary: read }, clear));
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3 }), acts, (numChannels, steps) => {
        const ring = CaptureRing.create(numChannels, 100);
        const other = new CaptureRing(ring.buffer, numChannels);
        let expected: number[] = [];
        let next = 0;
        for (const { act, frames } of steps) {
          if (act === 'write') {
            const samples = Int16Array.from({ length: frames * numChannels }, () => (next += 1));
            const fits = expected.length + samples.length <= 128 * numChannels;
            expect(ring.write(samples)).toBe(fits);
            if (fits) expected.push(...samples);
          } else if (act === 'read') {
            const target = new Int16Array(60 * numChannels);
            const count = other.read(target, frames) * numChannels;
            expect([...target.subarray(0, count)]).toEqual(expected.splice(0, frames * numChannels));
          } else {
            ring.clear();
            expected = [];
          }
          expect(other.queuedFrames).toBe(expected.length / numChannels);
        }
      }),
    );
  });

  test('goes on after its positions have wrapped around', () => {
    const ring = CaptureRing.create(1, 16);
    new Int32Array(ring.buffer).fill(2 ** 31 - 8, 0, 2);
    const target = new Int16Array(16);
    for (let i = 0; i < 10; i++) {
      expect(ring.write(Int16Array.of(i, i + 1, i + 2, i + 3))).toBe(true);
      expect(ring.queuedFrames).toBe(4);
      expect(ring.read(target, 4)).toBe(4);
      expect([...target.subarray(0, 4)]).toEqual([i, i + 1, i + 2, i + 3]);
    }
  });

  test('asks once for the reader to be woken, until it has rested again', () => {
    const ring = CaptureRing.create(1, 16);
    expect([ring.mustWake(), ring.mustWake()]).toEqual([true, false]);
    ring.setAwake(true);
    expect(ring.mustWake()).toBe(false);
    ring.setAwake(false);
    expect(ring.mustWake()).toBe(true);
  });

  test('tells the reader once that a capture waits', () => {
    const ring = CaptureRing.create(1, 16);
    expect(ring.takeWaiting()).toBe(false);
    ring.wait();
    expect([ring.takeWaiting(), ring.takeWaiting()]).toEqual([true, false]);
  });

  test('never gives samples twice, torn or out of order to another thread, cleared at any time', async () => {
    const ring = CaptureRing.create(1, 4_096);
    const writer = new Worker(
      `const { workerData } = require('node:worker_threads');
       const CaptureRing = require(workerData.path);
       const ring = new CaptureRing(workerData.buffer, 1);
       const piece = new Int16Array(160);
       let pieces = 0;
       while (pieces < 20_000) {
         piece.fill(pieces % 30_000);
         if (!ring.write(piece)) continue;
         pieces++;
         if (pieces % 97 === 0) ring.clear();
       }
       while (ring.queuedFrames > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);`,
      { eval: true, workerData: { path, buffer: ring.buffer } },
    );
    let ended = false;
    const exited = new Promise<void>((resolve, reject) => {
      writer.once('error', reject);
      writer.once('exit', () => {
        ended = true;
        resolve();
      });
    });
    const target = new Int16Array(160);
    let [last, heard, wrong] = [-1, 0, 0];
    while (!ended) {
      for (let i = 0; i < 1_000; i++) {
        const count = ring.read(target, 160);
        for (let at = 0; at < count; at++) {
          if (target[at]! < last) wrong++;
          last = target[at]!;
        }
        heard += count;
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    await exited;
    expect(wrong).toBe(0);
    expect(heard).toBeGreaterThan(160);
  });
});
