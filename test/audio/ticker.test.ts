import { describe, expect, test, vi } from 'vitest';
import { systemClock } from '../../src/audio/clock.js';
import { Ticker } from '../../src/audio/ticker.js';
import { limits } from '../../src/limits.js';
import { ManualClock } from './manual-clock.js';

function makeTicker() {
  const clock = new ManualClock();
  const ticker = new Ticker(clock);
  const dueMs: number[] = [];
  const target = { tick: (nowMs: number) => void dueMs.push(nowMs - 1_000) };
  return { clock, ticker, dueMs, target };
}

describe('Ticker', () => {
  test('beats every 10 ms while something is attached, and holds no timer otherwise', () => {
    const { clock, ticker, dueMs, target } = makeTicker();
    expect(clock.pendingTimers).toBe(0);
    ticker.add(target);
    clock.advance(35);
    expect(dueMs).toEqual([10, 20, 30]);
    ticker.remove(target);
    expect(clock.pendingTimers).toBe(0);
    clock.advance(100);
    expect(dueMs).toHaveLength(3);
  });

  test('makes up for the beats of a stall, after the packets that wait', () => {
    const { clock, ticker, dueMs, target } = makeTicker();
    ticker.add(target);
    clock.stall(200);
    expect(ticker.isStalled).toBe(true);
    clock.advance(0);
    expect(dueMs).toHaveLength(20);
    expect(ticker.isStalled).toBe(false);
  });

  test('skips the missed time after a suspended machine wakes up', () => {
    const { clock, ticker, dueMs, target } = makeTicker();
    ticker.add(target);
    clock.stall(60_000);
    clock.advance(0);
    expect(dueMs).toEqual([60_000]);
    clock.advance(10);
    expect(dueMs).toEqual([60_000, 60_010]);
  });

  test('a target that fails or leaves in mid-beat does not disturb the others', () => {
    const { clock, ticker, dueMs, target } = makeTicker();
    ticker.add({
      tick: () => {
        throw new Error('this one fails');
      },
    });
    const once = { tick: () => ticker.remove(once) };
    ticker.add(once);
    ticker.add(target);
    clock.advance(20);
    expect(dueMs).toEqual([10, 20]);
  });
});

test("the system's clock does not call back at once after a time that is too long for a timer", () => {
  const timers = vi.spyOn(globalThis, 'setTimeout');
  // Session-Expires of a telephone may be as large.
  const cancel = systemClock.schedule(() => {}, 0x7fff_ffff * 1_000);
  expect(timers.mock.lastCall![1]).toBe(limits.timer.value);
  cancel();
  timers.mockRestore();
});
