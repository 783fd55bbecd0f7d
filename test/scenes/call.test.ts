import { afterEach, describe, expect, test } from 'vitest';
import type { Engine, Program } from '../support/program.mjs';
import { audiblePart, dominantFrequencyHz, findGaps, levelDbfs, type Pcm } from '../support/tone.js';
import { describeOnServers, type Stage } from './stage.js';

const pairs: [Engine, Engine][] = [
  ['offhook', 'native'],
  ['offhook', 'offhook'],
];
const toneMs = 3_000;
/** The jitter buffer learns the line meanwhile. */
const settleMs = 1_000;
const spokenDbfs = -20;

/** Waits until `listener` has heard `identity` for as long as `toneMs`, and takes what it heard. */
async function hear(listener: Program, identity: string): Promise<Pcm> {
  const { atMs } = await listener.waitFor('firstAudible', { identity });
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, atMs + toneMs - Date.now())));
  return listener.takeHeard(identity);
}

function expectCleanTone(heard: Pcm, frequencyHz: number): void {
  const sound = audiblePart(heard);
  const steady = sound.samples.subarray(Math.round((sound.sampleRate * settleMs) / 1_000));
  expect(steady.length / sound.sampleRate, 'seconds of sound').toBeGreaterThan(1);
  const tone = { samples: steady, sampleRate: sound.sampleRate };
  expect(Math.abs(dominantFrequencyHz(tone) - frequencyHz), 'frequency off by Hz').toBeLessThanOrEqual(5);
  expect(Math.abs(levelDbfs(steady) - spokenDbfs), 'level off by dB').toBeLessThan(1.5);
  // On a machine with more to do than it has cores a packet may come later than the jitter buffer waits for.
  const silentMs = findGaps(tone).reduce((sum, { durationMs }) => sum + durationMs, 0);
  expect(silentMs, 'ms without sound').toBeLessThan((toneMs - settleMs) * 0.03);
}

async function playCall(stage: Stage, [first, second]: [Engine, Engine]): Promise<[Pcm, Pcm]> {
  const room = stage.newRoom();
  const [alice, bob] = await Promise.all([stage.join(first, room, 'alice'), stage.join(second, room, 'bob')]);
  await alice.call('publishTone', { hz: 440, dbfs: spokenDbfs });
  await bob.call('publishTone', { hz: 1_000, dbfs: spokenDbfs });
  return Promise.all([hear(alice, 'bob'), hear(bob, 'alice')]);
}

describeOnServers('a call', (stage) => {
  afterEach(() => stage.clear());

  describe.each(pairs)('between %s and %s', (first, second) => {
    test('carries tones both ways, with their frequency and level, and without gaps', async () => {
      const [byAlice, byBob] = await playCall(stage, [first, second]);
      expectCleanTone(byBob, 440);
      expectCleanTone(byAlice, 1_000);
    });

    test('ends the other end’s stream when the track is unpublished, and tells it who left', async () => {
      const room = stage.newRoom();
      const [alice, bob] = await Promise.all([
        stage.join(first, room, 'alice'),
        stage.join(second, room, 'bob'),
      ]);
      await alice.call('publishTone', { hz: 440 });
      await bob.waitFor('firstAudible', { identity: 'alice' });
      await alice.call('stopTone');
      await bob.waitFor('trackUnsubscribed', { identity: 'alice' });
      await alice.call('disconnect');
      await bob.waitFor('participantDisconnected', { identity: 'alice' });
    });
  });
});
