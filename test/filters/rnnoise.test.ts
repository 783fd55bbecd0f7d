import { describe, expect, test } from 'vitest';
import { rnnoiseModuleId } from '../../src/filters/index.js';
import { filterFrame, openRegistry, streamInfo, streamIs, untilStatus, url } from './harness.js';
import { noiseOf } from './levels.js';

const power = (samples: Int16Array) =>
  samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;

describe('the built-in noise suppression', () => {
  test.each([1, 2])('takes noise out of %i channels', async (numChannels) => {
    const registry = openRegistry();
    registry.roomConnecting({ url, token: 'token' });
    const session = registry.create(rnnoiseModuleId, { sampleRate: 24_000, numChannels, streamInfo });
    expect([session.inputRate, session.outputRate]).toEqual([48_000, 48_000]);
    await untilStatus(registry, streamIs('ready'));
    const next = noiseOf(480 * numChannels);
    let last: Int16Array | undefined;
    for (let frame = 0; frame < 200; frame++) last = (await filterFrame(session, next())) ?? last;
    expect(10 * Math.log10(power(last!) / power(next()))).toBeLessThan(-25);
    expect(session.status.frames.processed).toBeGreaterThan(150);
  });

  test('works outside of a room', async () => {
    const registry = openRegistry();
    registry.create(rnnoiseModuleId, {
      sampleRate: 48_000,
      numChannels: 1,
      streamInfo: { ...streamInfo, url: '' },
    });
    await untilStatus(registry, streamIs('ready'));
  });
});
