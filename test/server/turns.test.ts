import { setImmediate as nextRound } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Turns } from '../../src/server/turns.js';

/** Keeps the thread busy. */
function work(ms: number): void {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs);
}

/** Somebody with `pieces` of work, `pieceMs` each, who notes each piece. */
function worker(name: string, pieces: number, pieceMs: number, log: string[]) {
  let left = pieces;
  return (untilMs: number) => {
    do {
      work(pieceMs);
      left--;
      log.push(name);
    } while (left > 0 && performance.now() < untilMs);
    return left > 0;
  };
}

test('work runs at once while nobody else waits', () => {
  const log: string[] = [];
  new Turns().request(worker('a', 1, 0, log));
  expect(log).toEqual(['a']);
});

test('a newcomer waits for one turn of whoever is at work, not for all of its work', async () => {
  const log: string[] = [];
  const turns = new Turns();
  turns.request(worker('greedy', 100, 1, log));
  expect(log.length).toBeLessThan(100);
  turns.request(worker('newcomer', 1, 0, log));
  while (!log.includes('newcomer')) await nextRound();
  const before = log.indexOf('newcomer');
  while (log.length < 101) await nextRound();
  expect(before).toBeLessThan(50);
  expect(log.filter((name) => name === 'greedy')).toHaveLength(100);
});

test('those who have used up a turn take turns', async () => {
  const log: string[] = [];
  const turns = new Turns();
  for (const name of ['a', 'b', 'c']) turns.request(worker(name, 40, 1, log));
  while (log.length < 120) await nextRound();
  // Nobody is through before everybody has had a good part.
  const firstEnd = Math.min(...['a', 'b', 'c'].map((name) => log.lastIndexOf(name)));
  for (const name of ['a', 'b', 'c']) {
    expect(log.slice(0, firstEnd + 1).filter((each) => each === name).length).toBeGreaterThan(20);
  }
});

test('the event loop goes on between rounds', async () => {
  const log: string[] = [];
  const turns = new Turns();
  turns.request(worker('a', 200, 1, log));
  let rounds = 0;
  while (log.length < 200) {
    rounds++;
    await nextRound();
  }
  expect(rounds).toBeGreaterThan(5);
});

test('a turn that fails costs nobody else theirs', async () => {
  const log: string[] = [];
  const turns = new Turns();
  expect(() =>
    turns.request(() => {
      throw new Error('thrown by the test');
    }),
  ).toThrow('thrown by the test');
  turns.request(worker('b', 1, 0, log));
  await nextRound();
  expect(log).toEqual(['b']);
});
