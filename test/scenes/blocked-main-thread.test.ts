import { afterEach, expect, test } from 'vitest';
import { audiblePart, findGaps, levelDbfs } from '../support/tone.js';
import { describeOnServers } from './stage.js';

const blockMs = 2_000;
const aroundMs = 600;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describeOnServers('a program whose main thread is blocked for two seconds', (stage) => {
  afterEach(() => stage.clear());

  test('goes on sending captured audio, misses no event, and stays in the room', async () => {
    const room = stage.newRoom();
    const alice = await stage.join('offhook', room, 'alice');
    const bob = await stage.join('native', room, 'bob');
    await bob.call('publishTone', { hz: 1_000 });
    // A queue longer than the block: what is captured before it must be heard during it.
    await alice.call('publishTone', { hz: 440, queueMs: blockMs + 1_000 });
    await alice.waitFor('firstAudible', { identity: 'bob' });
    await bob.waitFor('firstAudible', { identity: 'alice' });
    await pause(aroundMs);
    await alice.takeHeard('bob');
    await bob.takeHeard('alice');

    const startedMs = performance.now();
    await alice.call('block', { durationMs: blockMs });
    await pause(aroundMs);
    const elapsedMs = performance.now() - startedMs;
    const byBob = audiblePart(await bob.takeHeard('alice'));
    const byAlice = audiblePart(await alice.takeHeard('bob'));

    expect(findGaps(byBob), 'gaps in what the other end heard').toEqual([]);
    expect(findGaps(byAlice), 'gaps in what the blocked program was told').toEqual([]);
    for (const { samples, sampleRate } of [byBob, byAlice]) {
      expect((samples.length / sampleRate) * 1_000).toBeGreaterThan(elapsedMs - aroundMs);
      expect(levelDbfs(samples)).toBeCloseTo(-20, 0);
    }
    const lost = [...alice.events, ...bob.events].filter(({ event }) =>
      /disconnected|reconnecting/i.test(event),
    );
    expect(lost).toEqual([]);
  });
});
