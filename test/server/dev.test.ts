import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { SignalPeer } from './signal-peer.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const cli = `${root}/dist/cli/main.js`;

describe('the command line', () => {
  let child: ChildProcess | undefined;

  beforeAll(() => {
    expect(spawnSync(process.execPath, [`${root}/scripts/build.mjs`], { cwd: root }).status).toBe(0);
  });
  afterEach(() => {
    child?.kill('SIGKILL');
  });

  /** Starts `offhook dev` and reads what it prints, up to the last line of its greeting. */
  async function startDev(
    ...more: string[]
  ): Promise<{ url: string; token: string; ended: Promise<unknown[]> }> {
    child = spawn(process.execPath, [cli, 'dev', '--port', '0', '--log', 'error', ...more], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(child, 'exit');
    let url = '';
    let token = '';
    for await (const line of createInterface({ input: child.stdout! })) {
      url = /Room server +(ws:\S+)/.exec(line)?.[1] ?? url;
      token = /To join room "demo" as "guest": (\S+)/.exec(line)?.[1] ?? token;
      if (token !== '') break;
    }
    return { url, token, ended };
  }

  test('offhook dev prints a URL and a token that let one in, and leaves cleanly on SIGTERM', async () => {
    const { url, token, ended } = await startDev();
    const peer = await SignalPeer.open(url, token);
    expect((await peer.next('join')).participant).toMatchObject({ identity: 'guest' });
    child?.kill('SIGTERM');
    expect(await peer.next('leave')).toMatchObject({ reason: 3 });
    expect(await ended).toEqual([0, null]);
  });

  test('offhook token makes tokens for the keys that offhook dev was given', async () => {
    const keys = ['--api-key', 'mine', '--api-secret', 'a secret of my own'];
    const { url } = await startDev(...keys);
    const args = [
      cli,
      'token',
      '--room',
      'r',
      '--identity',
      'ada',
      '--name',
      'Ada',
      '--metadata',
      'm',
      ...keys,
    ];
    const { stdout, status } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    expect(status).toBe(0);
    const peer = await SignalPeer.open(url, stdout.trim());
    expect(await peer.next('join')).toMatchObject({
      participant: { identity: 'ada', name: 'Ada', metadata: 'm' },
    });
    peer.close();
  });

  test.each([
    ['a port that is none', ['dev', '--port', '70000'], /"70000" is not a port/, 2],
    ['an unknown log level', ['dev', '--log', 'loud'], /"loud" is not a log level.*error, warn, info/, 2],
    ['an address of another machine', ['dev', '--port', '0', '--host', '203.0.113.1'], /203\.0\.113\.1/, 1],
    ['a server with an empty secret', ['dev', '--api-secret', ''], /API secret is "".*not empty/, 2],
    ['a token without a room', ['token', '--identity', 'ada'], /--room/, 2],
    ['a token of an empty room', ['token', '--identity', 'ada', '--room', ''], /room is "".*not empty/, 2],
    [
      'a lifetime that is none',
      ['token', '--identity', 'ada', '--room', 'r', '--ttl', 'soon'],
      /"soon" is not a duration.*10m/,
      2,
    ],
  ])('%s is one line of error and an exit code', (_what, args, message, exitCode) => {
    const { stderr, status } = spawnSync(process.execPath, [cli, ...args], {
      encoding: 'utf8',
      timeout: 20_000,
    });
    expect(status).toBe(exitCode);
    expect(stderr.trim()).toMatch(message);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });
});
