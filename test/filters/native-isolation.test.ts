import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, test, vi } from 'vitest';
import type { FilterRegistry } from '../../src/filters/index.js';
import { describeWith } from '../support/parts.js';
import { isGone } from '../support/processes.js';
import {
  afterTest,
  filtered,
  filterFrame,
  level,
  openRegistry,
  playWhileReady,
  plugin,
  setEnvironment,
  streamInfo,
  streamIs,
  untilStatus,
  url,
} from './harness.js';

const stream = { sampleRate: 48_000, numChannels: 1, streamInfo };

async function openStream(registry: FilterRegistry, process = 'gain:0.25') {
  registry.loadNative({ moduleId: 'gain', pluginPath: plugin() });
  registry.roomConnecting({ url, token: 'token' });
  const session = registry.create('gain', { ...stream, optionsJson: JSON.stringify({ process }) });
  await untilStatus(registry, streamIs('ready'));
  return session;
}

/** Process ids of the children of `pid` that hold plugins. */
function hostsOf(pid: number): number[] {
  const lines = execFileSync('ps', ['-eo', 'pid=,ppid=,args='], { encoding: 'utf8' }).split('\n');
  return lines
    .map((line) => line.trim().split(/\s+/))
    .filter(
      ([, parent, ...args]) => Number(parent) === pid && args.join(' ').includes('filters/host/main.js'),
    )
    .map(([child]) => Number(child));
}

describeWith(['cc'], 'a native plugin that misbehaves', () => {
  test('and takes too long on a frame lets it pass in time, and is taken out when it goes on', async () => {
    const registry = openRegistry();
    const session = await openStream(registry, 'sleep:40');
    const late = filterFrame(session, level(1000));
    await delay(20);
    void filterFrame(session, level(1000));
    // The plugin still sleeps: the frame was given up when the next one came.
    expect(await late).toBeUndefined();
    expect(session.status.frames.late).toBeGreaterThan(0);
    await playWhileReady(session);
    expect(session.status.reason).toMatch(
      /taken out until 5 s have passed: of the last \d+ frames 50 were not back in time/,
    );
    expect(await filterFrame(session, level(1000))).toBeUndefined();
  });

  test('and was taken out is tried again', async () => {
    const registry = openRegistry();
    const session = await openStream(registry, 'sleep:40');
    await playWhileReady(session);
    await untilStatus(registry, streamIs('ready'));
    expect(registry.statuses()[0]?.restarts).toBe(0);
  });

  test('and blocks in a frame is replaced, for the other streams', async () => {
    const registry = openRegistry();
    const session = await openStream(registry, 'block:3');
    const other = registry.create('gain', stream);
    await vi.waitFor(() => expect(other.status.state).toBe('ready'));
    await playWhileReady(session);
    await untilStatus(registry, ({ restarts, state }) => restarts === 1 && state === 'ready');
    await vi.waitFor(() => expect(other.status.state).toBe('ready'));
    expect(await filtered(other, level(1000))).toEqual(level(250));
    expect(session.status.state).toBe('unavailable');
  });

  test('and crashes is started again, its stream attached again', async () => {
    const registry = openRegistry();
    const session = await openStream(registry, 'crash:40');
    expect(await filtered(session, level(1000))).toEqual(level(250));
    await playWhileReady(session);
    await untilStatus(registry, (status) => status.restarts === 1 && streamIs('ready')(status));
    expect(await filtered(session, level(1000))).toEqual(level(250));
  });

  test('and crashes on and on is given up, and says so', async () => {
    const registry = openRegistry();
    const session = await openStream(registry, 'crash:0');
    while (!session.status.reason?.includes('3 restarts')) {
      await filterFrame(session, level(1000));
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(session.status.reason).toMatch(/its process was ended by SIG\w+, 3 restarts/);
    expect(hostsOf(process.pid)).toEqual([]);
  });

  test('and writes outside of its buffer costs its process, and no frame is lost', async () => {
    const registry = openRegistry();
    const session = await openStream(registry, 'overrun:100');
    expect(await filterFrame(session, level(1000))).toBeUndefined();
    const { reason } = await untilStatus(registry, ({ state }) => state === 'unavailable');
    expect(reason).toBe('the plugin wrote outside of its output buffer');
  });

  test('and answers with what is no number lets the frame pass', async () => {
    const registry = openRegistry();
    registry.loadNative({ moduleId: 'gain', pluginPath: plugin() });
    registry.roomConnecting({ url, token: 'token' });
    const session = registry.create('gain', { ...stream, format: 'float', optionsJson: '{"process":"nan"}' });
    await untilStatus(registry, streamIs('ready'));
    expect(await filterFrame(session, level(1000))).toBeUndefined();
    expect(session.status.frames.failed).toBe(1);
  });

  test.runIf(process.platform === 'linux')('and spins in on_load leaves the machine to others', async () => {
    setEnvironment({ OFFHOOK_PLUGIN_ON_LOAD: 'spin' });
    const registry = openRegistry();
    registry.loadNative({ moduleId: 'gain', pluginPath: plugin() });
    registry.roomConnecting({ url, token: 'token' });
    const [host] = hostsOf(process.pid);
    const niceOfThreads = () =>
      readdirSync(`/proc/${host}/task`).map(
        // Field 19 of stat; the second, in brackets, may hold spaces.
        (task) => readFileSync(`/proc/${host}/task/${task}/stat`, 'utf8').split(') ')[1]!.split(' ')[16],
      );
    await vi.waitFor(() => expect(niceOfThreads()).toContain('19'), 10_000);
    expect(niceOfThreads()).toContain(String(getPriority()));
  });

  test('does not see the environment of the program', async () => {
    setEnvironment({ LIVEKIT_API_SECRET: 'hidden', MY_LICENCE: 'shown', OFFHOOK_FILTER_ENV: 'MY_LICENCE' });
    const registry = openRegistry();
    await openStream(registry);
    const [host] = hostsOf(process.pid);
    const environment = execFileSync('cat', [`/proc/${host}/environ`], { encoding: 'utf8' }).split('\0');
    expect(environment).toContain('MY_LICENCE=shown');
    expect(environment.join()).not.toContain('hidden');
  });
});

/** A program that loads a plugin and lives until it is killed. */
const program = fileURLToPath(new URL('./program-with-plugin.mjs', import.meta.url));

describeWith(['cc'], 'the process of a native plugin', () => {
  test.each(['ok', 'block', 'spin'])(
    'ends with the program, even when that is killed while on_load is: %s',
    async (onLoad) => {
      const child = spawn(process.execPath, [program, plugin()], {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { ...process.env, OFFHOOK_PLUGIN_ON_LOAD: onLoad },
      });
      afterTest(() => child.kill('SIGKILL'));
      await once(child.stdout, 'data');
      const [host] = hostsOf(child.pid!);
      expect(existsSync(`/proc/${host}`)).toBe(true);
      child.kill('SIGKILL');
      await once(child, 'exit');
      await vi.waitFor(() => expect(isGone(host!)).toBe(true), { timeout: 5_000 });
    },
  );

  test('keeps no program alive', async () => {
    const child = spawn(process.execPath, [program, plugin(), 'and leave'], { stdio: 'inherit' });
    const [code] = await once(child, 'exit');
    expect(code).toBe(0);
  });
});
