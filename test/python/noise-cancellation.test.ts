// LiveKit's own plugin, which works with LiveKit Cloud only: elsewhere it must cost the filter and never the call.
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { Stage } from '../scenes/stage.js';
import { describeWith } from '../support/parts.js';
import { until } from '../support/until.js';

/** Whatever a process that is still there was started with. */
function startedWith(pid: number): { command: string; environment: string[]; parent: number } | undefined {
  try {
    const read = (name: string) => readFileSync(`/proc/${pid}/${name}`, 'utf8');
    return {
      command: read('cmdline').replaceAll('\0', ' '),
      environment: read('environ').split('\0'),
      parent: Number(/^PPid:\s+(\d+)/m.exec(read('status'))?.[1]),
    };
  } catch {
    return undefined;
  }
}

const childrenOf = (parent: number) =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => startedWith(Number(name)))
    .filter((process) => process?.parent === parent);

describeWith(['python livekit', 'cc'], 'livekit-plugins-noise-cancellation', () => {
  const stage = new Stage();
  beforeAll(() => stage.open('offhook dev'));
  afterEach(() => stage.clear());
  afterAll(() => stage.close());

  test('registers its filter when it is imported, whose host gets the environment that it set', async () => {
    const room = stage.newRoom();
    const speaker = await stage.join('offhook', room, 'speaker');
    await speaker.call('publishTone', { hz: 440 });
    // The package sets one itself; the others are the user's, and a name that is on no list stays where it is.
    const listener = await stage.start('offhook', 'python', { OFFHOOK_FILTER_ENV: 'LISTED' });
    await listener.call('setEnvironment', {
      variables: { OFFHOOK_PLUGIN_MINE: '1', LISTED: '2', UNLISTED: '3', OMP_NUM_THREADS: '4' },
    });
    const noiseCancellation = await listener.call('importNoiseCancellation');
    await stage.enter(listener, room, 'listener', { hearing: { sampleRate: 24_000, noiseCancellation } });
    await listener.waitFor('firstAudible', { identity: 'speaker' });
    const [engine] = await listener.call<number[]>('children');
    const host = await until('host of the filter', () =>
      childrenOf(engine!).find((child) => child?.environment.includes('OPENBLAS_NUM_THREADS=1')),
    );
    expect(host.command).toContain('host');
    expect(host.environment).toEqual(
      expect.arrayContaining(['OFFHOOK_PLUGIN_MINE=1', 'LISTED=2', 'OMP_NUM_THREADS=4']),
    );
    expect(host.environment).not.toContain('UNLISTED=3');
    expect(listener.output.filter((line) => line.includes('no audio filter has the module id'))).toEqual([]);
  }, 60_000);
});
