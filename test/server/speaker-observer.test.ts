import { expect, test } from 'vitest';
import { SpeakerObserver } from '../../src/server/speaker-observer.js';

const packetsPerUpdate = 20;

function say(observer: SpeakerObserver, sid: string, dbov: number, packets = packetsPerUpdate): void {
  for (let i = 0; i < packets; i++) observer.observe(sid, dbov);
}

test('a loud voice becomes active at once, and inactive soon after it stops', () => {
  const observer = new SpeakerObserver();
  say(observer, 'PA_a', -15);
  expect(observer.update()).toMatchObject([{ sid: 'PA_a', active: true }]);
  const updates = Array.from({ length: 8 }, () => {
    say(observer, 'PA_a', -127);
    return observer.update();
  }).flat();
  expect(updates.at(-1)).toEqual({ sid: 'PA_a', level: 0, active: false });
});

test('silence and single clicks make no speaker', () => {
  const observer = new SpeakerObserver();
  say(observer, 'PA_a', -60);
  expect(observer.update()).toEqual([]);
  say(observer, 'PA_a', -127, packetsPerUpdate - 1);
  say(observer, 'PA_a', -5, 1);
  expect(observer.update()).toEqual([]);
});

test('a steady voice is told until its level has settled, then no more', () => {
  const observer = new SpeakerObserver();
  const told = Array.from({ length: 20 }, () => {
    say(observer, 'PA_a', -20);
    return observer.update().length;
  });
  expect(told[0]).toBe(1);
  expect(told.slice(-10)).toEqual(Array(10).fill(0));
});

test('the loudest comes first', () => {
  const observer = new SpeakerObserver();
  say(observer, 'PA_quiet', -30);
  say(observer, 'PA_loud', -12);
  expect(observer.update().map(({ sid }) => sid)).toEqual(['PA_loud', 'PA_quiet']);
});

test('who leaves in the middle of a word is told as silent', () => {
  const observer = new SpeakerObserver();
  say(observer, 'PA_a', -15);
  observer.update();
  observer.forget('PA_a');
  expect(observer.update()).toEqual([{ sid: 'PA_a', level: 0, active: false }]);
});
