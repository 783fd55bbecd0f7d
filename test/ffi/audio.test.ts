import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith } from '../support/parts.js';
import { type Engine, type Program, startParticipant } from '../support/program.mjs';
import { makeToken } from '../support/token.mjs';
import { audiblePart, dominantFrequencyHz, findGaps, levelDbfs, type Pcm } from '../support/tone.js';
import { House, sdks } from './house.js';

/** What was heard between the beginning and the end of the sound, without the first and last 100 ms. */
function middleOf(heard: Pcm): Pcm {
  const { samples, sampleRate } = audiblePart(heard);
  return { samples: samples.subarray(sampleRate / 10, samples.length - sampleRate / 10), sampleRate };
}

function expectTone(heard: Pcm, hz: number, dbfs: number, atLeastMs: number): void {
  const tone = middleOf(heard);
  expect((tone.samples.length * 1_000) / tone.sampleRate).toBeGreaterThan(atLeastMs);
  expect(Math.abs(dominantFrequencyHz(tone) - hz)).toBeLessThanOrEqual(5);
  expect(Math.abs(levelDbfs(tone.samples) - dbfs)).toBeLessThan(1.5);
  const silentMs = findGaps(tone).reduce((sum, { durationMs }) => sum + durationMs, 0);
  // A machine with more to do than it has cores lets a packet come too late now and then.
  expect(silentMs).toBeLessThan(atLeastMs * 0.1);
}

describeWith(['livekit-server', 'native engine'], 'audio between the engines', () => {
  const house = new House();
  const participants: Program[] = [];
  let ours: Program;
  let native: Program;

  async function join(engine: Engine, identity: string): Promise<Program> {
    const participant = startParticipant(engine);
    participants.push(participant);
    const token = await makeToken(house.server, house.room, identity);
    await participant.call('connect', { url: house.server.url, token, hearing: { sampleRate: 48_000 } });
    return participant;
  }

  beforeAll(async () => {
    native = await join('native', 'native');
    ours = await join('offhook', 'ours');
  });
  afterAll(() => Promise.all(participants.map((participant) => participant.stop())));

  const pairs = () =>
    [
      [ours, native, 'ours', 440],
      [native, ours, 'native', 660],
    ] as const;

  test('keeps frequency and level, without gaps, both ways at once', async () => {
    for (const [speaker, , , hz] of pairs()) await speaker.call('publishTone', { hz, dbfs: -20 });
    await Promise.all(
      pairs().map(([, listener, identity]) => listener.waitFor('firstAudible', { identity })),
    );
    await Promise.all(pairs().map(([, listener, identity]) => listener.takeHeard(identity)));
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    for (const [, listener, identity, hz] of pairs()) {
      expectTone(await listener.takeHeard(identity), hz, -20, 1_500);
    }
  });

  test('ends at the other side when it is unpublished', async () => {
    for (const [speaker, listener, identity] of pairs()) {
      await speaker.call('stopTone');
      await listener.waitFor('trackUnsubscribed', { identity });
      await listener.waitFor('trackUnpublished', { identity });
    }
  });

  test('of a source of 24 kHz stereo is heard as it is', async () => {
    await ours.call('publishTone', { name: 'stereo', hz: 500, sampleRate: 24_000, numChannels: 2 });
    await native.waitFor('trackSubscribed', { identity: 'ours', name: 'stereo' });
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    expectTone(await native.takeHeard('ours'), 500, -20, 1_000);
    await ours.call('stopTone', { name: 'stereo' });
  });
});

for (const { sdk, RTC_PACKAGE } of sdks) {
  describeWith(['livekit-server', 'native engine'], `an audio stream of ${sdk}`, () => {
    const house = new House();
    let ours: Program;
    beforeAll(async () => {
      const native = await house.join('native', 'native');
      await native.call('publishSilence');
      ours = await house.join('offhook', 'ours', { env: { RTC_PACKAGE } });
      await ours.waitFor('trackSubscribed', { identity: 'native' });
    });

    test('comes at the rate, with the channels and in the frames that were asked for', async () => {
      for (const [asked, samplesPerChannel] of [
        [{ sampleRate: 16_000, numChannels: 1 }, 160],
        [{ sampleRate: 24_000, numChannels: 2, frameSizeMs: 20 }, 480],
        [{ sampleRate: 8_000, numChannels: 1, frameSizeMs: 50 }, 400],
      ] as const) {
        await ours.call('listen', { identity: 'native', ...asked });
        expect(await ours.waitFor('frame', { sampleRate: asked.sampleRate })).toMatchObject({
          channels: asked.numChannels,
          samplesPerChannel,
          values: samplesPerChannel * asked.numChannels,
        });
      }
    });
  });
}
