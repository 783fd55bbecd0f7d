import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { afterEach, expect, test, vi } from 'vitest';
import { DeadlineTimer, withDeadline } from '../../src/deadlines/index.js';

afterEach(() => {
  vi.useRealTimers();
});

/** Answers a message at once, from another thread, and wakes whoever waits for that at `answered`. */
async function startAnswerer(answered: Int32Array) {
  const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    parentPort.on('message', (question) => {
      parentPort.postMessage(question + ' was answered');
      Atomics.store(workerData, 0, 1);
      Atomics.notify(workerData, 0);
    });`;
  const worker = new Worker(code, { eval: true, workerData: answered });
  await once(worker, 'online');
  return worker;
}

test('an answer that came while this process did not run is taken, however late it is read', async () => {
  const answered = new Int32Array(new SharedArrayBuffer(4));
  const worker = await startAnswerer(answered);
  const timeoutMs = 200;
  try {
    const result = withDeadline({ stage: 'join', timeoutMs, what: 'no answer' }, async () => {
      const [answer] = await once(worker, 'message');
      return answer;
    });
    // Timers are the first that comes after this turn of the event loop.
    await new Promise((resolve) => setImmediate(resolve));
    worker.postMessage('it');
    Atomics.wait(answered, 0, 0);
    Atomics.wait(answered, 0, 1, 2 * timeoutMs);
    expect(await result).toBe('it was answered');
  } finally {
    await worker.terminate();
  }
});

test('time in which this process runs is counted, also where there was some in which it did not', async () => {
  const neverNotified = new Int32Array(new SharedArrayBuffer(4));
  const result = withDeadline(
    { stage: 'join', timeoutMs: 100, what: 'no answer' },
    () => new Promise<never>(() => {}),
  );
  Atomics.wait(neverNotified, 0, 0, 300);
  await expect(result).rejects.toMatchObject({ code: 'OFFHOOK_DEADLINE', stage: 'join' });
});

test('a deadline that is restarted passes its whole time later, and one that is stopped never', () => {
  vi.useFakeTimers();
  const passed: string[] = [];
  const restarted = new DeadlineTimer(1_000, () => passed.push('restarted'));
  const stopped = new DeadlineTimer(1_000, () => passed.push('stopped'));
  vi.advanceTimersByTime(900);
  restarted.restart();
  stopped.stop();
  vi.advanceTimersByTime(990);
  expect(passed).toEqual([]);
  vi.advanceTimersByTime(20);
  expect(passed).toEqual(['restarted']);
});
