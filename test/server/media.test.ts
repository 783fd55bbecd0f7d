import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { describeWith } from '../support/parts.js';
import { type Program, startParticipant } from '../support/program.mjs';
import { dominantFrequencyHz, findGaps, levelDbfs } from '../support/tone.js';
import { RoomOfTwo, takeHeard } from './room-of-two.js';
import { signToken } from './signal-peer.js';

/** At least so much of what a participant hears of another from now on. */
async function hearFor(
  listener: Program,
  identity: string,
  path: string,
  durationMs: number,
): Promise<Int16Array> {
  const samples: number[] = [];
  await vi.waitFor(
    async () => {
      const heard = await takeHeard(listener, identity, path);
      samples.push(...heard.samples);
      expect(samples.length).toBeGreaterThanOrEqual((heard.sampleRate * durationMs) / 1_000);
    },
    { timeout: 10_000, interval: 200 },
  );
  return Int16Array.from(samples);
}

describeWith(['native engine'], 'between two participants on the native engine', () => {
  const room = new RoomOfTwo();
  const directory = mkdtempSync(join(tmpdir(), 'offhook-server-'));

  beforeAll(() => room.open());
  beforeEach(({ task }) => room.join(task.id));
  afterEach(() => room.leave());
  afterAll(async () => {
    await room.close();
    rmSync(directory, { recursive: true });
  });

  test('tones cross both ways with their frequency and level, without gaps', async () => {
    const { ada, bob } = room;
    await Promise.all([ada.call('publishTone', { hz: 440 }), bob.call('publishTone', { hz: 660 })]);
    for (const [listener, identity, hz] of [
      [ada, 'bob', 660],
      [bob, 'ada', 440],
    ] as const) {
      await listener.waitFor('firstAudible', { identity });
      const path = join(directory, identity);
      // The listener's jitter buffer finds its length first.
      await hearFor(listener, identity, path, 500);
      const samples = await hearFor(listener, identity, path, 1_000);
      const heard = { samples, sampleRate: 48_000 };
      expect(Math.abs(dominantFrequencyHz(heard) - hz)).toBeLessThanOrEqual(5);
      expect(Math.abs(levelDbfs(samples) + 20)).toBeLessThan(2);
      expect(findGaps(heard)).toEqual([]);
    }
  });

  test('data reaches whom it is for, with the name of its sender', async () => {
    const { ada, bob } = room;
    await ada.call('publishData', { text: 'to all', topic: 'news' });
    await bob.waitFor('dataReceived', { text: 'to all', identity: 'ada', topic: 'news' });
    await bob.call('publishData', { text: 'to ada', to: ['ada'], reliable: false });
    await ada.waitFor('dataReceived', { text: 'to ada', identity: 'bob' });
    await ada.call('publishData', { text: 'to nobody here', to: ['eve'] });
    await ada.call('publishData', { text: 'last' });
    await bob.waitFor('dataReceived', { text: 'last' });
    expect(bob.events.some(({ text }) => text === 'to nobody here')).toBe(false);
  });

  test('data also reaches one who may not subscribe to tracks', async () => {
    const { ada } = room;
    const listener = startParticipant('native');
    try {
      const grant = { roomJoin: true, room: room.name, canSubscribe: false };
      const token = await signToken('listener', grant);
      await listener.call('connect', { url: room.server.url, token });
      await ada.call('publishData', { text: 'psst', to: ['listener'] });
      await listener.waitFor('dataReceived', { text: 'psst', identity: 'ada' });
    } finally {
      await listener.stop();
    }
  });

  test('RPC and text streams go through', async () => {
    const { ada, bob } = room;
    expect(await ada.call('rpc', { to: 'bob', payload: 'ping' })).toMatchObject({ value: 'ping' });
    const text = 'a line of text '.repeat(5_000);
    await bob.call('receiveText', { topic: 'story' });
    await ada.call('sendText', { text, topic: 'story' });
    expect((await bob.waitFor('text', { topic: 'story' })).text).toBe(text);
  });

  test('speaking, unpublishing, attributes and leaving are told to the other', async () => {
    const { ada, bob } = room;
    const { sid } = await ada.call<{ sid: string }>('publishTone', { hz: 440 });
    await bob.waitFor('trackSubscribed', { sid });
    await bob.waitFor('activeSpeakersChanged');
    await ada.call('setAttributes', { attributes: { mood: 'calm' } });
    await bob.waitFor('participantAttributesChanged', { identity: 'ada' });
    await ada.call('stopTone');
    await bob.waitFor('trackUnpublished', { sid });
    await ada.call('disconnect');
    await bob.waitFor('participantDisconnected', { identity: 'ada' });
  });

  test('tracks that come and go are heard each time', async () => {
    const { ada, bob } = room;
    for (const [name, hz] of [
      ['first', 440],
      ['second', 880],
      ['third', 550],
    ] as const) {
      const { sid } = await ada.call<{ sid: string }>('publishTone', { name, hz });
      await bob.waitFor('trackSubscribed', { sid });
      await vi.waitFor(
        async () => {
          const heard = await takeHeard(bob, 'ada', join(directory, name));
          expect(heard.samples.length).toBeGreaterThan(0);
          expect(Math.abs(dominantFrequencyHz(heard) - hz)).toBeLessThanOrEqual(10);
        },
        { timeout: 8_000, interval: 300 },
      );
      await ada.call('stopTone', { name });
      await bob.waitFor('trackUnpublished', { sid });
    }
  });
});
