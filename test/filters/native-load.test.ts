import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { Timeline } from '../../src/timeline/index.js';
import { describeWith } from '../support/parts.js';
import {
  filtered,
  filterFrame,
  level,
  openRegistry,
  plugin,
  setEnvironment,
  streamInfo,
  untilStatus,
  url,
} from './harness.js';

const stream = { sampleRate: 48_000, numChannels: 1, streamInfo };

describeWith(['cc'], 'a native plugin', () => {
  test('that is ready filters the next frame', async () => {
    const registry = openRegistry();
    registry.loadNative({ moduleId: 'gain', pluginPath: plugin() });
    const timeline = new Timeline('connect');
    registry.roomConnecting({ url, token: 'token', timeline });
    const session = registry.create('gain', stream);
    expect(await filterFrame(session, level(1000))).toBeUndefined();

    await untilStatus(registry, ({ streams }) => streams[0]?.state === 'ready');
    expect(await filtered(session, level(1000))).toEqual(level(250));
    expect(session.status.frames).toMatchObject({ processed: 1, bypassed: 1, failed: 0 });
    expect(timeline.spans.map(({ stage, outcome, filter }) => [stage, outcome, filter])).toEqual([
      ['filter-load', 'ok', 'gain'],
      ['filter-create', 'ok', 'gain'],
    ]);
  });

  test.each([
    ['fail:7', 'on_load returned 7'],
    ['garbage', 'on_load returned -559038737'],
    ['crash', 'ended by SIG'],
    // Node's own exit handlers may crash when exit() is called on a thread that is not theirs.
    ['exit:3', /exited with code 3|ended by SIG/],
    ['block', 'on_load has not returned'],
    ['spin', 'on_load has not returned'],
  ])('whose on_load does %s is unavailable and says why', async (behaviour, reason) => {
    setEnvironment({ OFFHOOK_PLUGIN_ON_LOAD: behaviour });
    const returns = behaviour !== 'block' && behaviour !== 'spin';
    const registry = openRegistry({ loadDeadlineMs: returns ? 20_000 : 1_000 });
    registry.loadNative({ moduleId: 'gain', pluginPath: plugin() });
    registry.roomConnecting({ url, token: 'token' });
    const session = registry.create('gain', stream);
    const status = await untilStatus(registry, ({ state }) => state === 'unavailable');
    expect(status.reason).toMatch(reason);
    expect(status.elapsedMs).toBeGreaterThan(0);
    expect(session.status).toMatchObject({ state: 'unavailable' });
    expect(await filterFrame(session, level(1000))).toBeUndefined();
  });

  test('that comes back after its deadline is ready after all', async () => {
    setEnvironment({ OFFHOOK_PLUGIN_ON_LOAD: 'sleep:1.5' });
    const registry = openRegistry({ loadDeadlineMs: 500 });
    registry.loadNative({ moduleId: 'gain', pluginPath: plugin() });
    registry.roomConnecting({ url, token: 'token' });
    const session = registry.create('gain', stream);
    await untilStatus(registry, ({ state }) => state === 'unavailable');
    await untilStatus(registry, ({ streams }) => streams[0]?.state === 'ready');
    expect(await filtered(session, level(400))).toEqual(level(100));
  });

  test('whose on_load blocks for one room is still called for the next', async () => {
    const log = join(mkdtempSync(join(tmpdir(), 'offhook-plugin-')), 'calls');
    setEnvironment({ OFFHOOK_PLUGIN_ON_LOAD: 'block', OFFHOOK_PLUGIN_LOG: log });
    const registry = openRegistry();
    registry.loadNative({ moduleId: 'gain', pluginPath: plugin() });
    registry.roomConnecting({ url, token: 'first' });
    registry.roomConnecting({ url, token: 'second' });
    await vi.waitFor(() => expect(readFileSync(log, 'utf8')).toMatch(/"first"(.|\n)*"second"/), 20_000);
  });

  test.each([
    ['is called when the room has joined', Promise.resolve()],
    ['does not wait for a room that joins late', new Promise<void>(() => {})],
  ])('%s', async (_, joined) => {
    const registry = openRegistry();
    registry.loadNative({ moduleId: 'gain', pluginPath: plugin() });
    registry.roomConnecting({ url, token: 'token', joined });
    await untilStatus(registry, ({ state }) => state === 'ready');
  });

  test('is not called for a room that is closed before it has joined', async () => {
    const log = join(mkdtempSync(join(tmpdir(), 'offhook-plugin-')), 'calls');
    setEnvironment({ OFFHOOK_PLUGIN_LOG: log });
    const registry = openRegistry();
    registry.loadNative({ moduleId: 'gain', pluginPath: plugin() });
    registry.roomConnecting({ url: 'ws://closed', token: 'closed', joined: new Promise(() => {}) });
    registry.roomClosed('ws://closed');
    registry.roomConnecting({ url, token: 'open', joined: new Promise(() => {}) });
    await untilStatus(registry, ({ state }) => state === 'ready');
    expect(readFileSync(log, 'utf8')).not.toContain('closed');
  });

  test('that lacks a symbol is unavailable, and the symbol is named', async () => {
    const registry = openRegistry();
    registry.loadNative({ moduleId: 'gain', pluginPath: plugin('LACK_CREATE', 'LACK_UPDATE_STREAM_INFO') });
    registry.roomConnecting({ url, token: 'token' });
    const { reason } = await untilStatus(registry, ({ state }) => state === 'unavailable');
    expect(reason).toMatch(/lacks audio_filter_update_stream_info, audio_filter_create/);
  });

  test('that is loaded while a room is open is made ready for it', async () => {
    const registry = openRegistry();
    registry.roomConnecting({ url, token: 'token' });
    registry.loadNative({ moduleId: 'gain', pluginPath: plugin() });
    await untilStatus(registry, ({ state }) => state === 'ready');
  });

  test('whose path is wrong is refused at once, with the reason', () => {
    const registry = openRegistry();
    const load = (pluginPath: string, dependencies: string[] = []) =>
      registry.loadNative({ moduleId: 'gain', pluginPath, dependencies });
    const text = join(mkdtempSync(join(tmpdir(), 'offhook-')), 'text.so');
    writeFileSync(text, 'not a library');
    expect(() => load('/nowhere/libx.so')).toThrow('filter plugin /nowhere/libx.so does not exist');
    expect(() => load('/')).toThrow('is not a file');
    expect(() => load(text)).toThrow('is not a shared library');
    expect(() => load(plugin(), [text])).toThrow(`filter dependency ${text} is not a shared library`);
    const { status } = registry.create('gain', stream);
    expect(status.reason).toMatch(/no audio filter has the module id gain \(known: offhook\/rnnoise\)/);
  });
});
