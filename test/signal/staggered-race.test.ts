import fc from 'fast-check';
import { expect, test } from 'vitest';
import { pickAddress } from '../../src/signal/happy-eyeballs.js';
import { StaggeredRace } from '../../src/signal/staggered-race.js';

test('the next candidate starts when the delay has passed, or at once when all have failed', () => {
  const race = new StaggeredRace<string>({ delayMs: 250 });
  expect(race.add(['a', 'b', 'c'], 1000)).toEqual(['a']);
  expect(race.wakeAtMs).toBe(1250);
  expect(race.tick(1249)).toEqual([]);
  expect(race.tick(1250)).toEqual(['b']);
  expect(race.failed('a', 1300)).toEqual([]);
  expect(race.failed('b', 1310)).toEqual(['c']);
  race.won('c');
  expect(race.state).toBe('won');
});

test('a held candidate keeps the next one from starting, until it fails', () => {
  const race = new StaggeredRace<string>({ delayMs: 300 });
  race.add(['a', 'b'], 0);
  race.hold('a');
  expect(race.wakeAtMs).toBeUndefined();
  expect(race.tick(10_000)).toEqual([]);
  expect(race.failed('a', 10_001)).toEqual(['b']);
});

test('it is lost only when nothing is left and nothing will be added', () => {
  const race = new StaggeredRace<string>({ delayMs: 300 });
  race.add(['a'], 0);
  race.failed('a', 1);
  expect(race.state).toBe('open');
  expect(race.add(['b'], 2)).toEqual(['b']);
  race.complete();
  race.failed('b', 3);
  expect(race.state).toBe('lost');
});

test('address families take turns, IPv6 first', () => {
  const race = new StaggeredRace<string>({ delayMs: 1, pick: pickAddress });
  const started = race.add(['1.1.1.1', '2.2.2.2', '::1', '::2'], 0);
  for (let now = 1; now < 4; now++) started.push(...race.tick(now));
  expect(started).toEqual(['::1', '1.1.1.1', '::2', '2.2.2.2']);
});

type Step =
  | { do: 'add'; count: number }
  | { do: 'wait'; ms: number }
  | { do: 'fail' | 'hold' | 'win'; which: number }
  | { do: 'complete' };

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant('add' as const), count: fc.nat(3) }),
    fc.record({ do: fc.constant('wait' as const), ms: fc.nat(400) }),
    fc.record({ do: fc.constantFrom('fail' as const, 'hold' as const), which: fc.nat(5) }),
    fc.record({ do: fc.constant('win' as const), which: fc.nat(20) }),
    fc.constant({ do: 'complete' as const }),
  ),
  { maxLength: 40 },
);

/** Plays random steps and keeps what an onlooker would: when each candidate started, and which are under way. */
function play(script: Step[], delayMs: number) {
  const race = new StaggeredRace<number>({ delayMs });
  const starts: { candidate: number; atMs: number; othersRunning: number }[] = [];
  const running = new Set<number>();
  let added = 0;
  let nowMs = 0;
  let complete = false;
  const note = (candidates: number[]) => {
    for (const candidate of candidates) {
      starts.push({ candidate, atMs: nowMs, othersRunning: running.size });
      running.add(candidate);
    }
  };
  for (const step of script) {
    if (race.state !== 'open') break;
    const chosen = 'which' in step ? [...running][step.which] : undefined;
    if (step.do === 'add' && !complete) {
      note(
        race.add(
          Array.from({ length: step.count }, () => added++),
          nowMs,
        ),
      );
    } else if (step.do === 'wait') {
      nowMs += step.ms;
      note(race.tick(nowMs));
    } else if (step.do === 'complete') {
      race.complete();
      complete = true;
    } else if (chosen !== undefined && step.do === 'hold') race.hold(chosen);
    else if (chosen !== undefined && step.do === 'fail') {
      running.delete(chosen);
      note(race.failed(chosen, nowMs));
    } else if (chosen !== undefined && step.do === 'win') race.won(chosen);
  }
  return { race, starts, running, added, complete };
}

test('in every order of events: each candidate starts at most once and in order, two of them at least the delay apart unless nothing runs', () => {
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 300 }), (script, delayMs) => {
      const { starts } = play(script, delayMs);
      expect(starts.map(({ candidate }) => candidate)).toEqual(starts.map((_, index) => index));
      for (const [index, start] of starts.entries()) {
        if (index === 0 || start.othersRunning === 0) continue;
        expect(start.atMs - starts[index - 1]!.atMs).toBeGreaterThanOrEqual(delayMs);
      }
    }),
  );
});

test('in every order of events: it is never idle while a candidate waits, and lost exactly when all have failed', () => {
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 300 }), (script, delayMs) => {
      const { race, starts, running, added, complete } = play(script, delayMs);
      if (race.state === 'open' && added > starts.length) expect(running.size).toBeGreaterThan(0);
      if (race.state === 'won') return;
      const allFailed = complete && running.size === 0 && starts.length === added;
      expect(race.state === 'lost').toBe(allFailed);
    }),
  );
});
