import { expect, test, vi } from 'vitest';
import { RaceLost, RaceRunner } from '../../src/signal/race-runner.js';

/** A race whose attempts the test settles by hand. */
function handRace(delayMs = 5) {
  const attempts = new Map<
    string,
    { resolve(value: string): void; reject(error: Error): void; signal: AbortSignal }
  >();
  const disposed: string[] = [];
  const controller = new AbortController();
  const race = new RaceRunner<string, string>({
    delayMs,
    signal: controller.signal,
    attempt: (name, signal) =>
      new Promise((resolve, reject) => attempts.set(name, { resolve, reject, signal })),
    dispose: (value) => disposed.push(value),
  });
  return { race, attempts, disposed, controller };
}

test('the first success wins, the others are abandoned, and what they still bring is freed', async () => {
  const { race, attempts, disposed } = handRace();
  race.add(['a', 'b']);
  await vi.waitFor(() => expect(attempts.size).toBe(2));
  attempts.get('b')!.resolve('from b');
  expect(await race.result).toBe('from b');
  expect(attempts.get('a')!.signal.aborted).toBe(true);
  attempts.get('a')!.resolve('from a');
  await vi.waitFor(() => expect(disposed).toEqual(['from a']));
});

test('when all fail it tells every error in order', async () => {
  const { race, attempts } = handRace(60_000);
  race.add(['a', 'b']);
  race.complete();
  attempts.get('a')!.reject(new Error('first'));
  await vi.waitFor(() => expect(attempts.size).toBe(2));
  attempts.get('b')!.reject(new Error('second'));
  const lost = await race.result.catch((error: unknown) => error);
  expect(lost).toBeInstanceOf(RaceLost);
  expect((lost as RaceLost).errors.map(String)).toEqual(['Error: first', 'Error: second']);
});

test('aborting abandons what is under way and starts nothing more', async () => {
  const { race, attempts, controller } = handRace();
  race.add(['a', 'b']);
  controller.abort(new Error('enough'));
  await expect(race.result).rejects.toThrow('enough');
  expect(attempts.get('a')!.signal.aborted).toBe(true);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(attempts.size).toBe(1);
});
