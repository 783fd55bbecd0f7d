import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { ListeningEngine } from '../../src/ffi/process/listening-engine.js';
import { Stage } from '../scenes/stage.js';
import { describeWith } from '../support/parts.js';

/** A connection whose other half does not come is closed by then. */
const pairingDeadlineMs = 5_000;

describeWith(['python livekit', 'cc'], 'an engine that waits for Python programs', () => {
  const stage = new Stage();
  const folder = mkdtempSync(join(tmpdir(), 'offhook-waiting-'));
  const address = join(folder, 'engine');
  let engine: ListeningEngine;

  beforeAll(async () => {
    await stage.open('offhook dev');
    engine = new ListeningEngine({ address, mode: 'shared' });
    await engine.listen();
  });
  afterEach(() => stage.clear());
  afterAll(async () => {
    await engine.close();
    await stage.close();
    rmSync(folder, { recursive: true, force: true });
  });

  test('serves several at once, each for as long as it lives', async () => {
    const room = stage.newRoom();
    const env = { OFFHOOK_ENGINE_SOCKET: address };
    const programs = await Promise.all([
      stage.start('offhook', 'python', env),
      stage.start('offhook', 'python', env),
    ]);
    for (const [n, program] of programs.entries()) {
      await stage.enter(program, room, `python-${n}`);
      await program.call('publishTone', { hz: 440 + n * 440 });
    }
    await programs[0].waitFor('firstAudible', { identity: 'python-1' });
    await programs[1].waitFor('firstAudible', { identity: 'python-0' });
    await new Promise((resolve) => setTimeout(resolve, pairingDeadlineMs + 500));
    expect(await programs[0].call('rpc', { to: 'python-1', payload: 'still here' })).toMatchObject({
      value: 'still here',
    });
    expect(await programs[0].call('children')).toEqual([]);
    process.kill(programs[0].pid, 'SIGKILL');
    await programs[1].waitFor('participantDisconnected', { identity: 'python-0' });
    expect(await programs[1].call('participants')).toEqual([]);
  });
});
