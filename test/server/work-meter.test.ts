import { expect, test } from 'vitest';
import { limits } from '../../src/server/limits.js';
import { WorkMeter } from '../../src/server/work-meter.js';

function openMeter() {
  let nowMs = 0;
  const advance = (ms: number) => {
    nowMs += ms;
  };
  return { meter: WorkMeter.forPackets(() => nowMs), advance };
}

const { packetWorkBurst, packetWorkPerSecond, overdrawnPackets } = limits;

test('work within work is counted once', () => {
  const { meter, advance } = openMeter();
  const most = 0.9 * packetWorkBurst.value;
  meter.run(() => meter.run(() => advance(most)));
  // Twice as much is more than the budget.
  expect(meter.waitMs).toBe(0);
  const { meter: other, advance: advanceOther } = openMeter();
  other.run(() => advanceOther(2 * most));
  expect(other.waitMs).toBeGreaterThan(0);
});

test('who has used up its budget waits until that is earned again', () => {
  const { meter, advance } = openMeter();
  meter.run(() => advance(2 * packetWorkBurst.value));
  const { waitMs } = meter;
  expect(waitMs).toBeGreaterThan(0);
  advance(waitMs);
  expect(meter.waitMs).toBe(0);
});

test('however much one piece of work takes, its cause is not locked out for long', () => {
  const { meter, advance } = openMeter();
  meter.run(() => advance(3_600_000));
  expect(meter.waitMs).toBeLessThan((3_000 * packetWorkBurst.value) / packetWorkPerSecond.value);
});

test.each([0.1, 1, 5])('packets that take %d ms each take no more than their share of a second', (costMs) => {
  const { meter, advance } = openMeter();
  let workMs = 0;
  let idleMs = 0;
  let taken = 0;
  while (workMs + idleMs < 20_000) {
    if (meter.beginPacket()) {
      advance(costMs);
      meter.end();
      workMs += costMs;
      taken++;
    } else {
      advance(0.1);
      idleMs += 0.1;
    }
  }
  const share = packetWorkPerSecond.value / 1_000;
  // What a call needs is taken whatever it costs.
  const leastMs = Math.min(1, (overdrawnPackets.value * costMs) / 1_000);
  expect(workMs / 20_000).toBeLessThan(Math.max(share, leastMs) + 0.1);
  expect(taken).toBeGreaterThan(1_000);
});

test('a call that costs more than its share goes on', () => {
  const { meter, advance } = openMeter();
  let dropped = 0;
  // 200 packets a second of 4 ms: more than there is.
  for (let i = 0; i < 2_000; i++) {
    if (meter.beginPacket()) {
      advance(4);
      meter.end();
    } else dropped++;
    advance(1);
  }
  expect(dropped).toBe(0);
});
