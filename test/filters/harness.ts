import { setTimeout as delay } from 'node:timers/promises';
import { afterEach } from 'vitest';
import {
  FilterRegistry,
  type FilterRegistryOptions,
  type FilterSession,
  type FilterStatus,
  type FilterStreamInfo,
} from '../../src/filters/index.js';
import { compilePlugin } from '../support/plugin/compile.mjs';
import { within } from '../support/until.js';

export const url = 'ws://127.0.0.1:7880';

export const streamInfo: FilterStreamInfo = {
  url,
  roomId: 'RM_1',
  roomName: 'room',
  participantIdentity: 'caller',
  participantId: 'PA_1',
  trackId: 'TR_1',
};

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

/** Runs `cleanup` after the test. */
export function afterTest(cleanup: () => void): void {
  cleanups.push(cleanup);
}

/** Sets variables of the environment until the test is over. */
export function setEnvironment(values: Record<string, string>): void {
  for (const [name, value] of Object.entries(values)) {
    const before = process.env[name];
    process.env[name] = value;
    afterTest(() => {
      if (before === undefined) delete process.env[name];
      else process.env[name] = before;
    });
  }
}

/** A registry whose hosts run the compiled code, closed after the test. */
export function openRegistry(options: FilterRegistryOptions = {}): FilterRegistry {
  const compiledCode = new URL('../../dist/filters/', import.meta.url);
  const registry = new FilterRegistry({ compiledCode, ...options });
  afterTest(() => registry.close());
  return registry;
}

const plugins = new Map<string, string>();

/** The test plugin, compiled once a file and variant. */
export function plugin(...variants: Parameters<typeof compilePlugin>): string {
  const key = variants.join();
  const library = plugins.get(key) ?? compilePlugin(...variants);
  plugins.set(key, library);
  return library;
}

/** Resolves with the first status of the registry that `accept` takes. */
export async function untilStatus(
  registry: FilterRegistry,
  accept: (status: FilterStatus) => boolean,
  timeoutMs = 20_000,
): Promise<FilterStatus> {
  const now = registry.statuses().find(accept);
  if (now) return now;
  const previous = registry.onStatus;
  const comes = new Promise<FilterStatus>((resolve) => {
    registry.onStatus = (status) => {
      previous(status);
      if (accept(status)) resolve(status);
    };
  });
  return within('such status of a filter', comes, { timeoutMs, seen: () => registry.statuses() });
}

export const streamIs = (state: string) => (status: FilterStatus) =>
  status.streams.some((stream) => stream.state === state);

/** Sends one frame through a session and resolves with what came back. */
export function filterFrame(session: FilterSession, frame: Int16Array): Promise<Int16Array | undefined> {
  return new Promise((resolve) => session.process(frame, resolve));
}

/** What a session makes of a frame; sent again when the machine was too busy for it to be back in time. */
export async function filtered(session: FilterSession, frame: Int16Array): Promise<Int16Array | undefined> {
  for (let tries = 0; tries < 20; tries++) {
    const result = await filterFrame(session, frame);
    if (result) return result;
  }
  return undefined;
}

/** Sends frames as a stream does, one every 10 ms, for as long as the filter takes them. */
export async function playWhileReady(session: FilterSession): Promise<void> {
  while (session.status.state === 'ready') {
    session.process(level(1000), () => {});
    await delay(10);
  }
}

/** 10 ms of a constant level at 48 kHz. */
export function level(value: number, length = 480): Int16Array {
  return new Int16Array(length).fill(value);
}
