import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { Stage } from '../scenes/stage.js';
import { describeWith } from '../support/parts.js';
import { isGone } from '../support/processes.js';
import type { Program } from '../support/program.mjs';

describeWith(['python livekit', 'cc'], 'when a Python program ends', () => {
  const stage = new Stage();
  beforeAll(() => stage.open('offhook dev'));
  afterEach(() => stage.clear());
  afterAll(() => stage.close());

  async function inRoomWithWitness(): Promise<{ python: Program; witness: Program; enginePid: number }> {
    const room = stage.newRoom();
    const witness = await stage.join('offhook', room, 'witness');
    const python = await stage.join('offhook', room, 'python', {}, 'python');
    await python.call('publishTone', { hz: 440 });
    await witness.waitFor('firstAudible', { identity: 'python' });
    const [enginePid] = await python.call<number[]>('children');
    expect(enginePid).toBeGreaterThan(0);
    return { python, witness, enginePid: enginePid! };
  }

  const endings: [string, (python: Program) => void][] = [
    ['is killed', ({ pid }) => process.kill(pid, 'SIGKILL')],
    ['ends by os._exit', (python) => void python.call('exitAtOnce').catch(() => {})],
    ['closes its input and ends as programs do', (python) => void python.stop()],
  ];
  test.each(endings)(
    'that %s, its room is left within two seconds and its engine ends',
    async (_how, end) => {
      const { python, witness, enginePid } = await inRoomWithWitness();
      const startedMs = Date.now();
      end(python);
      const left = await witness.waitFor('participantDisconnected', { identity: 'python' });
      expect(left.atMs - startedMs).toBeLessThan(2_000);
      await expect.poll(() => isGone(enginePid), { timeout: 3_000 }).toBe(true);
    },
  );

  test('a program whose engine is killed hears that its room is over, lives on, and leaves nothing behind', async () => {
    const { python, witness, enginePid } = await inRoomWithWitness();
    const startedMs = Date.now();
    process.kill(enginePid, 'SIGKILL');
    const lost = await python.waitFor('disconnected');
    expect(lost.atMs - startedMs).toBeLessThan(2_000);
    await python.waitForLine('the engine has ended, its rooms are disconnected: it was ended by signal 9');
    await expect(python.call('setMetadata', { metadata: 'x' })).rejects.toThrow('AssertionError');
    expect(await python.call('participants')).toEqual(expect.any(Array));
    expect(isGone(enginePid)).toBe(true);
    // Nothing of the engine is left to say so: a new one does.
    const left = await witness.waitFor('participantDisconnected', { identity: 'python' });
    expect(left.atMs - startedMs).toBeLessThan(2_000);
    expect(await python.stop()).toBeUndefined();
  });

  test('Ctrl-C for the whole group ends the program, not the engine before it has left', async () => {
    const { python, witness, enginePid } = await inRoomWithWitness();
    process.kill(-python.pid, 'SIGINT');
    process.kill(enginePid, 'SIGTERM');
    await witness.waitFor('participantDisconnected', { identity: 'python' });
    await expect.poll(() => isGone(enginePid), { timeout: 3_000 }).toBe(true);
  });
});
