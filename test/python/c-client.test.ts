import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildNative } from '../../scripts/build-native.mjs';
import { Stage } from '../scenes/stage.js';
import { describeWith } from '../support/parts.js';
import { engineEnvironment } from '../support/program.mjs';
import { makeToken } from '../support/token.mjs';
import { dominantFrequencyHz } from '../support/tone.js';

const root = fileURLToPath(new URL('../..', import.meta.url));

describeWith(['cc'], 'examples/c/client.c', () => {
  const stage = new Stage();
  const folder = mkdtempSync(join(tmpdir(), 'offhook-c-client-'));
  const client = join(folder, 'client');

  beforeAll(async () => {
    await stage.open('offhook dev');
    const library = buildNative();
    const run = `-Wl,-rpath,${dirname(library)}`;
    const args = [
      '-Wall',
      '-Wextra',
      '-Werror',
      '-I',
      'native',
      'examples/c/client.c',
      '-o',
      client,
      library,
      run,
      '-lm',
    ];
    const { status, stderr } = spawnSync('cc', args, { cwd: root, encoding: 'utf8' });
    expect(status, stderr).toBe(0);
  });
  afterAll(async () => {
    await stage.clear();
    await stage.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const start = (...args: string[]) =>
    spawn(client, args, {
      env: engineEnvironment({ OFFHOOK_NODE: process.execPath }),
      stdio: ['ignore', 'pipe', 'inherit'],
    });

  test('is heard and hears', async () => {
    const room = stage.newRoom();
    const other = await stage.join('offhook', room, 'other');
    await other.call('publishTone', { hz: 440, dbfs: -20 });
    const child = start(stage.server.url, await makeToken(stage.server, room, 'c'), '4');
    const lines: string[] = [];
    createInterface({ input: child.stdout }).on('line', (line) => lines.push(line));
    const ended = new Promise((resolve) => child.once('exit', resolve));
    await other.waitFor('firstAudible', { identity: 'c' });
    await other.takeHeard('c');
    await expect
      .poll(() => lines.filter((line) => line.startsWith('heard')).length, { timeout: 10_000 })
      .toBeGreaterThan(1);
    expect(Math.abs(dominantFrequencyHz(await other.takeHeard('c')) - 660)).toBeLessThan(15);
    expect(await ended).toBe(0);
    expect(lines[0]).toBe('joined');
    expect(Number(/heard (.*) dBFS/.exec(lines.at(-1)!)?.[1])).toBeCloseTo(-20, -0.5);
    await other.waitFor('participantDisconnected', { identity: 'c' });
  });

  test('says why it could not join', async () => {
    const child = start(stage.server.url, 'no-token', '1');
    let printed = '';
    child.stdout.on('data', (text) => (printed += text));
    expect(await new Promise((resolve) => child.once('close', resolve))).toBe(1);
    expect(printed).toContain('OFFHOOK_');
  });
});
