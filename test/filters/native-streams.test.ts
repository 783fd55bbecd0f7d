import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import type { FilterRegistry, FilterSessionOptions } from '../../src/filters/index.js';
import { describeWith } from '../support/parts.js';
import {
  filtered,
  filterFrame,
  level,
  openRegistry,
  plugin,
  setEnvironment,
  streamInfo,
  streamIs,
  untilStatus,
  url,
} from './harness.js';

/** Makes the plugin write down the calls it gets, and returns what it has written. */
function recordCalls(): () => string[] {
  const path = join(mkdtempSync(join(tmpdir(), 'offhook-')), 'calls');
  setEnvironment({ OFFHOOK_PLUGIN_LOG: path });
  return () =>
    readFileSync(path, 'utf8')
      .split('\n')
      .map((line) => line.trim());
}

async function openReady(...variants: Parameters<typeof plugin>): Promise<FilterRegistry> {
  const registry = openRegistry();
  registry.loadNative({ moduleId: 'gain', pluginPath: plugin(...variants) });
  await untilOpened(registry);
  return registry;
}

/** Waits for a room that is ready, however busy the machine is. */
async function untilOpened(registry: FilterRegistry): Promise<void> {
  registry.roomConnecting({ url, token: 'first' });
  await untilStatus(registry, ({ state }) => state === 'ready');
}

async function openStream(registry: FilterRegistry, options: Partial<FilterSessionOptions> = {}) {
  const session = registry.create('gain', { sampleRate: 48_000, numChannels: 1, streamInfo, ...options });
  await vi.waitFor(() => expect(session.status.state).toBe('ready'));
  return session;
}

describeWith(['cc'], 'streams of a native plugin', () => {
  test('have states and options of their own, and end on their own', async () => {
    const calls = recordCalls();
    const registry = await openReady();
    const loud = await openStream(registry, { optionsJson: '{"gain": 2}' });
    const quiet = await openStream(registry, { optionsJson: '{"gain": 0.5}' });
    expect(await filtered(loud, level(100))).toEqual(level(200));
    expect(await filtered(quiet, level(100))).toEqual(level(50));
    loud.close();
    expect(await filterFrame(loud, level(100))).toBeUndefined();
    expect(await filtered(quiet, level(100))).toEqual(level(50));
    quiet.close();
    await vi.waitFor(() => expect(calls().filter((call) => call.startsWith('destroy'))).toHaveLength(2));
  });

  test('take frames of any length, and of several channels, as interleaved samples', async () => {
    const registry = await openReady();
    const session = await openStream(registry, { sampleRate: 8_000, numChannels: 2 });
    expect(await filtered(session, level(400, 160))).toEqual(level(100, 160));
    expect(await filtered(session, level(400, 3))).toEqual(level(100, 3));
  });

  test('may be filtered in floating point', async () => {
    const registry = await openReady();
    const session = await openStream(registry, { format: 'float' });
    expect(await filtered(session, level(1000))).toEqual(level(250));
  });

  test('get the room, changes in it, and fresh tokens', async () => {
    const calls = recordCalls();
    const registry = await openReady();
    const session = await openStream(registry, { optionsJson: '{"model":"m"}' });
    registry.updateToken(url, 'fresh');
    session.updateStreamInfo({ ...streamInfo, roomId: 'RM_2' });
    await vi.waitFor(() => {
      expect(calls()).toContain(`update_token ${url} fresh`);
      expect(calls()).toContain(`update_stream_info ${JSON.stringify({ ...streamInfo, roomId: 'RM_2' })}`);
    });
    expect(calls()).toContain(`on_load {"url":"${url}","token":"first"}`);
    expect(calls()).toContain(`create {"model":"m"} ${JSON.stringify(streamInfo)}`);
  });

  test('take what the codec gives and give what was asked, with a plugin that converts rates', async () => {
    const calls = recordCalls();
    const registry = await openReady('WITH_V2');
    const session = await openStream(registry, { sampleRate: 16_000 });
    expect([session.inputRate, session.outputRate]).toEqual([48_000, 16_000]);
    expect(await filtered(session, level(1000, 480))).toEqual(level(250, 160));
    expect(calls()).toContain('v2 48000>16000');
  });

  test('pass as they are when the plugin creates none', async () => {
    setEnvironment({ OFFHOOK_PLUGIN_CREATE: 'null' });
    const registry = await openReady();
    const session = registry.create('gain', { sampleRate: 48_000, numChannels: 1, streamInfo });
    await untilStatus(registry, streamIs('unavailable'));
    expect(session.status.reason).toBe('audio_filter_create returned null: the plugin refuses the stream');
    expect(await filterFrame(session, level(1000))).toBeUndefined();
  });

  test('that take too long to create pass until they are there', async () => {
    setEnvironment({ OFFHOOK_PLUGIN_CREATE: 'sleep:1.5' });
    const registry = openRegistry({ loadDeadlineMs: 500 });
    registry.loadNative({ moduleId: 'gain', pluginPath: plugin() });
    await untilOpened(registry);
    const session = registry.create('gain', { sampleRate: 48_000, numChannels: 1, streamInfo });
    await untilStatus(registry, streamIs('unavailable'));
    expect(session.status.reason).toContain('not been created in time');
    await untilStatus(registry, streamIs('ready'));
    expect(await filtered(session, level(1000))).toEqual(level(250));
  });

  test('of one room are not held up by another room whose on_load blocks', async () => {
    const registry = await openReady();
    const session = await openStream(registry);
    setEnvironment({ OFFHOOK_PLUGIN_ON_LOAD: 'block' });
    registry.roomConnecting({ url: 'ws://127.0.0.1:1', token: 'other' });
    expect(await filtered(session, level(1000))).toEqual(level(250));
  });
});
