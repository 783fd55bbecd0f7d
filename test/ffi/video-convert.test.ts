import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { describeWith } from '../support/parts.js';
import { Program } from '../support/program.mjs';

const script = fileURLToPath(new URL('../support/video-participant.mjs', import.meta.url));

describeWith(['native engine'], 'converting a picture', () => {
  const native = new Program(script, { engine: 'native' });
  const ours = new Program(script, { engine: 'offhook' });
  afterAll(() => Promise.all([native.stop(), ours.stop()]));

  const convert = async (program: Program, args: Record<string, unknown>) =>
    (await program.call<{ data: number[] }>('convert', args)).data;

  test.for([
    ['I420', 'RGBA'],
    ['I420', 'ABGR'],
    ['I420', 'ARGB'],
    ['I420', 'BGRA'],
    ['I420', 'RGB24'],
    ['RGBA', 'I420'],
    ['ARGB', 'I420'],
    ['BGRA', 'I420'],
    ['RGB24', 'I420'],
  ] as const)('from %s to %s gives what the native engine gives', async ([from, to]) => {
    for (const flip of [false, true]) {
      const theirs = await convert(native, { from, to, flip });
      const result = await convert(ours, { from, to, flip });
      expect(result).toHaveLength(theirs.length);
      const furthest = Math.max(...result.map((value, at) => Math.abs(value - theirs[at]!)));
      expect(furthest, `flipped: ${flip}`).toBeLessThanOrEqual(2);
    }
  });

  test('to NV12 works although rtc-node reads beyond its end', async () => {
    const data = await convert(ours, { from: 'RGBA', to: 'NV12', width: 32, height: 8 });
    expect(data.slice(0, 4)).toEqual(
      (await convert(ours, { from: 'RGBA', to: 'I420', width: 32, height: 8 })).slice(0, 4),
    );
  });

  test('that is not what it says it is fails with an error', async () => {
    await expect(ours.call('convert', { from: 'RGBA', to: 'I420', width: 0 })).rejects.toThrow(
      /0 x 8 pixels/,
    );
  });
});
