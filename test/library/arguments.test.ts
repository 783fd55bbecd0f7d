import { describe, expect, test } from 'vitest';
import { startServer } from '../../src/server/index.js';
import { offhook } from './engine-of-the-package.js';

const symbol = Symbol('none') as never;
const silence = new Int16Array(480);
const rates = { inputRate: 48_000, outputRate: 16_000, numChannels: 1 };
const frame = { data: silence, sampleRate: 48_000, numChannels: 1, samplesPerChannel: 480 };

describe('a wrong argument is an error with a code', () => {
  test.each<[string, () => unknown]>([
    ['AudioSource: sampleRate', () => new offhook.AudioSource({ sampleRate: symbol })],
    ['a frame: sampleRate', () => capture({ ...frame, sampleRate: symbol })],
    ['a frame: numChannels', () => capture({ ...frame, numChannels: symbol })],
    ['Resampler: no options', () => offhook.Resampler.create(undefined as never)],
    ['Resampler: quality', () => offhook.Resampler.create({ ...rates, quality: 'x' as never })],
    ['Resampler: a rate', () => offhook.Resampler.create({ ...rates, inputRate: symbol })],
    ['Resampler.push', () => offhook.Resampler.create(rates).push(5 as never)],
    ['renderTimelineText', () => offhook.renderTimelineText({} as never)],
    ['renderTimelinePage: timelines', () => offhook.renderTimelinePage([5 as never], { title: 'x' })],
    ['renderTimelinePage: title', () => offhook.renderTimelinePage([], {} as never)],
    ['RpcError: message', () => new offhook.RpcError(1, symbol)],
    ['startServer: no options', () => startServer(null as never)],
    ['startServer: an unknown option', () => startServer({ prot: 0 } as never)],
    ['startServer: port', () => startServer({ port: symbol })],
    ['startServer: host', () => startServer({ port: 0, host: 5 as never })],
    ['startServer: keys', () => startServer({ port: 0, keys: { key: 5 as never } })],
    ['startServer: emptyTimeoutS', () => startServer({ port: 0, emptyTimeoutS: 'x' as never })],
    ['startServer: services', () => startServer({ port: 0, services: { x: { y: {} as never } } })],
  ])('%s', async (_what, use) => {
    const error = await (async () => use())().catch((reason: unknown) => reason);
    expect(error).toMatchObject({ name: 'OffhookError', code: 'OFFHOOK_INVALID_REQUEST' });
  });
});

function capture(wrong: typeof frame): Promise<void> {
  return new offhook.AudioSource({ sampleRate: 48_000 }).captureFrame(wrong);
}
