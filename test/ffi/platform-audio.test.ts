import { existsSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith } from '../support/parts.js';
import { Bare } from './bare.js';

const requests = {
  getAudioDevices: {},
  setRecordingDevice: { deviceId: 'microphone' },
  setPlayoutDevice: { deviceId: 'speaker' },
  startRecording: {},
  stopRecording: {},
};
const cards = '/proc/asound/cards';
const hasSoundCard = existsSync(cards) && !readFileSync(cards, 'utf8').includes('no soundcards');

/** Where there is a sound card, the native engine opens it and this one does not. */
describeWith(['native engine'], 'platform audio on a machine without a sound card', () => {
  const engines = { native: undefined, offhook: undefined } as Record<string, Bare | undefined>;
  beforeAll(() => {
    for (const engine of ['native', 'offhook'] as const) engines[engine] = new Bare(engine);
  });
  afterAll(() => Promise.all(Object.values(engines).map((bare) => bare?.stop())));

  test.skipIf(hasSoundCard)('cannot be opened, in the words of the native engine', async () => {
    const answers = await Promise.all(
      Object.values(engines).map((bare) => bare!.request({ newPlatformAudio: {} })),
    );
    expect(answers[1]).toEqual(answers[0]);
    expect(answers[1]).toEqual({ error: 'Failed to initialize platform audio' });
  });

  test.each(Object.entries(requests))('%s knows no handle of it', async (name, value) => {
    for (const bare of Object.values(engines))
      await expect(bare!.request({ [name]: { platformAudioHandle: '12345', ...value } })).rejects.toThrow(
        /handle/,
      );
  });

  test('a source of the microphone can be made into a track', async () => {
    for (const bare of Object.values(engines)) {
      const { source } = await bare!.request({ newAudioSource: { type: 'AUDIO_SOURCE_PLATFORM' } });
      expect(source.info).toEqual({ type: 'AUDIO_SOURCE_PLATFORM' });
      const value = { name: 'microphone', sourceHandle: source.handle.id };
      const { track } = await bare!.request({ createAudioTrack: value });
      expect(track.info).toMatchObject({ name: 'microphone', kind: 'KIND_AUDIO' });
    }
  });
});
