import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { laterLivekit } from '../../scripts/python-tools.mjs';
import { Stage } from '../scenes/stage.js';
import { describeWith, type Part } from '../support/parts.js';
import { dominantFrequencyHz } from '../support/tone.js';

/** What is heard and exchanged on each version of `livekit` that is supported. */
const versions: { part: Part; env: Record<string, string> }[] = [
  { part: 'python livekit', env: {} },
  { part: 'python livekit 1.2', env: { PYTHONPATH: laterLivekit } },
];

for (const { part, env } of versions) {
  describeWith([part, 'cc'], `an unmodified program on ${part} and the C library`, () => {
    const stage = new Stage();
    beforeAll(() => stage.open('offhook dev'));
    afterEach(() => stage.clear());
    afterAll(() => stage.close());

    test('hears a Node program and is heard by it', async () => {
      const room = stage.newRoom();
      const node = await stage.join('offhook', room, 'node');
      const python = await stage.start('offhook', 'python', env);
      await stage.enter(python, room, 'python');
      await node.call('publishTone', { hz: 440 });
      await python.call('publishTone', { hz: 880 });
      await node.waitFor('firstAudible', { identity: 'python' });
      await python.waitFor('firstAudible', { identity: 'node' });
      for (const [listener, speaker, hz] of [
        [node, 'python', 880],
        [python, 'node', 440],
      ] as const) {
        await listener.takeHeard(speaker);
        await new Promise((resolve) => setTimeout(resolve, 500));
        const heard = await listener.takeHeard(speaker);
        expect(heard.samples.length).toBeGreaterThan(48_000 * 0.3);
        expect(Math.abs(dominantFrequencyHz(heard) - hz)).toBeLessThan(10);
      }
    });

    test('exchanges data, text streams, calls and metadata with it', async () => {
      const room = stage.newRoom();
      const node = await stage.join('offhook', room, 'node');
      const python = await stage.start('offhook', 'python', env);
      await stage.enter(python, room, 'python');
      await node.untilPresent('python');
      await python.untilPresent('node');
      await node.call('receiveText', { topic: 'notes' });
      await python.call('receiveText', { topic: 'notes' });
      for (const [from, to, identity] of [
        [node, python, 'node'],
        [python, node, 'python'],
      ] as const) {
        const other = identity === 'node' ? 'python' : 'node';
        const text = `from ${identity} ${'ü'.repeat(20_000)}`;
        await from.call('publishData', { text: `data of ${identity}`, topic: 'news' });
        await to.waitFor('dataReceived', { text: `data of ${identity}`, identity, topic: 'news' });
        await from.call('sendText', { text, topic: 'notes' });
        await to.waitFor('text', { text, identity });
        expect(await from.call('rpc', { to: other, payload: text.slice(0, 5_000) })).toMatchObject({
          value: text.slice(0, 5_000),
        });
        await from.call('setMetadata', { metadata: `of ${identity}` });
        await to.waitFor('participantMetadataChanged', { metadata: `of ${identity}`, identity });
      }
    });
  });
}

describeWith(['python livekit', 'cc'], 'an unmodified Python program on the C library', () => {
  const stage = new Stage();
  beforeAll(() => stage.open('offhook dev'));
  afterEach(() => stage.clear());
  afterAll(() => stage.close());

  test('resamples, and processes audio in its own memory', async () => {
    const python = await stage.join('offhook', stage.newRoom(), 'python', {}, 'python');
    const { samples } = await python.call('resample', {
      samples: 48_000,
      inputRate: 48_000,
      outputRate: 16_000,
    });
    expect(samples).toBe(16_000);
    // What a high-pass filter takes away.
    expect(await python.call('processAudio', { level: 4_000 })).toMatchObject({ rms: expect.closeTo(0, -2) });
  });

  test('hears nothing more of a stream that it drops while frames of it are on their way, and lives on', async () => {
    const room = stage.newRoom();
    const node = await stage.join('offhook', room, 'node');
    await node.call('publishTone', { hz: 440 });
    const python = await stage.join('offhook', room, 'python', {}, 'python');
    await python.waitFor('firstAudible', { identity: 'node' });
    expect(await python.call('dropStream', { identity: 'node' })).toEqual({ late: 0 });
    await node.untilPresent('python');
    expect(await python.call('rpc', { to: 'node', payload: 'still here' })).toMatchObject({
      value: 'still here',
    });
  });
});
