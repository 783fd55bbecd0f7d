import { RoomServiceClient } from 'livekit-server-sdk';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { CallPace } from '../../src/server/api/call-pace.js';
import { startServer } from '../../src/server/index.js';
import { limits } from '../../src/server/limits.js';
import { SignalPeer } from './signal-peer.js';

describe('the calls of the server API for one room', () => {
  let announced: number;
  let done: number[];
  let pace: CallPace;
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    announced = 0;
    done = [];
    pace = new CallPace({ name: 'test', announcedBytes: () => announced });
  });
  afterEach(() => void vi.useRealTimers());

  const call = (number: number, bytes: number) =>
    pace.run(0, () => {
      announced += bytes;
      done.push(number);
    });

  test('wait while the updates that they cause are beyond the budget, in order', async () => {
    const { announcedBytesBurst, announcedBytesPerSecond } = limits;
    const refillMs = (announcedBytesBurst.value / announcedBytesPerSecond.value) * 1_000;
    const calls = [1, 2, 3].map((number) => call(number, 1.5 * announcedBytesBurst.value));
    await vi.advanceTimersByTimeAsync(0.4 * refillMs);
    expect(done).toEqual([1]);
    await vi.advanceTimersByTimeAsync(0.2 * refillMs);
    expect(done).toEqual([1, 2]);
    await vi.advanceTimersByTimeAsync(refillMs);
    expect(done).toEqual([1, 2]);
    await vi.advanceTimersByTimeAsync(refillMs);
    expect(done).toEqual([1, 2, 3]);
    await Promise.all(calls);
  });

  test('wait while they cost the thread more than a participant may', async () => {
    const work = (number: number) =>
      pace.run(0, () => {
        vi.advanceTimersByTime(limits.requestWorkBurst.value + 10);
        done.push(number);
      });
    const calls = [1, 2].map(work);
    await vi.advanceTimersByTimeAsync(1);
    expect(done).toEqual([1]);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(done).toEqual([1, 2]);
    await Promise.all(calls);
  });

  test('are refused when those that wait are too large', async () => {
    await call(1, 10 * limits.announcedBytesBurst.value);
    const large = limits.waitingCallsBytes.value - 10_000;
    const waiting = pace.run(large, () => 'done');
    await expect(pace.run(10_000, () => {})).rejects.toMatchObject({ code: 'resource_exhausted' });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await waiting).toBe('done');
    expect(await pace.run(10_000, () => 'again')).toBe('again');
  });

  test('go on after one that failed', async () => {
    const failed = pace.run(0, () => {
      throw new Error('not there');
    });
    await expect(failed).rejects.toThrow('not there');
    expect(await pace.run(0, async () => 'later')).toBe('later');
  });
});

test('many updates of one room by the server API wait, and those of another room do not', async () => {
  const server = await startServer({ port: 0 });
  const rooms = new RoomServiceClient(server.url.replace('ws', 'http'), 'devkey', 'secret');
  const readers = ['busy', 'calm'].map((room) => SignalPeer.join(server.url, room, 'reader'));
  try {
    await Promise.all(readers);
    let updated = 0;
    const startMs = performance.now();
    const count = Math.ceil((3 * limits.announcedBytesBurst.value) / limits.metadataBytes.value);
    const busy = Array.from({ length: count }, async (_, i) => {
      await rooms.updateRoomMetadata('busy', `${i}`.padEnd(limits.metadataBytes.value, 'm'));
      updated++;
    });
    await expect.poll(() => updated).toBeGreaterThan(10);
    await rooms.updateRoomMetadata('calm', 'hello');
    expect(updated).toBeLessThan(count);
    await Promise.all(busy);
    // Two of the three bursts have to be earned.
    const { announcedBytesBurst, announcedBytesPerSecond } = limits;
    const leastMs = (1_000 * announcedBytesBurst.value) / announcedBytesPerSecond.value;
    expect(performance.now() - startMs).toBeGreaterThan(leastMs);
  } finally {
    for (const reader of readers) (await reader).close();
    await server.close();
  }
});
