import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LossProbe } from '../../src/signal/loss-probe.js';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] }));
afterEach(() => void vi.useRealTimers());

function start(answers: (id: string, probe: LossProbe) => void = () => {}) {
  const pings: string[] = [];
  const probe: LossProbe = new LossProbe((id) => {
    pings.push(id);
    answers(id, probe);
  });
  return { probe, pings };
}

test('a message is followed by pings until one that left 300 ms later is answered', () => {
  const { probe, pings } = start((id, self) => self.pong(id));
  probe.messageSent();
  vi.advanceTimersByTime(5_000);
  expect(pings).toHaveLength(6);
  probe.messageSent();
  vi.advanceTimersByTime(5_000);
  expect(pings).toHaveLength(12);
});

test('answers to earlier pings are not enough, and without any answer it ends by itself', () => {
  const { probe, pings } = start();
  probe.messageSent();
  vi.advanceTimersByTime(1_000);
  for (const id of pings.slice(0, 5)) probe.pong(id);
  vi.advanceTimersByTime(1_000);
  expect(pings.length).toBeGreaterThan(35);
  vi.advanceTimersByTime(60_000);
  expect(pings).toHaveLength(200);
});

test('nothing follows once it is stopped', () => {
  const { probe, pings } = start();
  probe.messageSent();
  vi.advanceTimersByTime(60);
  probe.stop();
  vi.advanceTimersByTime(1_000);
  expect(pings).toHaveLength(1);
});
