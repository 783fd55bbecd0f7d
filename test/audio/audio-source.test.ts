import { describe, expect, test } from 'vitest';
import { AudioSource } from '../../src/audio/index.js';
import { Ticker } from '../../src/audio/ticker.js';
import { ManualClock } from './manual-clock.js';

function makeSource(queueSizeMs = 100, sampleRate = 48_000, numChannels = 1) {
  const clock = new ManualClock();
  const source = new AudioSource({ sampleRate, numChannels, queueSizeMs, ticker: new Ticker(clock) });
  const heard: (Int16Array | undefined)[] = [];
  const sink = { onAudio: (samples: Int16Array | undefined) => void heard.push(samples?.slice()) };
  const capture = (ms: number, value = 1) => {
    const samplesPerChannel = (sampleRate * ms) / 1_000;
    const data = new Int16Array(samplesPerChannel * numChannels).fill(value);
    return source.captureFrame({ data, sampleRate, numChannels, samplesPerChannel });
  };
  return { clock, source, heard, sink, capture };
}

/** Whether a promise has settled by now, once the microtasks that wait have run. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  let done = false;
  promise.then(
    () => (done = true),
    () => (done = true),
  );
  for (let i = 0; i < 10; i++) await Promise.resolve();
  return done;
}

describe('AudioSource', () => {
  test('plays what was captured, 10 ms at a time, then nothing', async () => {
    const { clock, source, heard, sink, capture } = makeSource();
    source.attach(sink);
    await capture(25, 7);
    clock.advance(40);
    expect(heard.map((samples) => samples?.length)).toEqual([480, 480, 480, undefined]);
    expect([...heard[2]!]).toEqual([...new Array(240).fill(7), ...new Array(240).fill(0)]);
  });

  test('a capture resolves at once while the queue has room, and otherwise when it has', async () => {
    const { clock, source, sink, capture } = makeSource(100);
    source.attach(sink);
    expect(await settled(capture(100))).toBe(true);
    const waiting = capture(30);
    expect(await settled(waiting)).toBe(false);
    clock.advance(20);
    expect(await settled(waiting)).toBe(false);
    clock.advance(10);
    expect(await settled(waiting)).toBe(true);
    expect(source.queuedMs).toBe(100);
  });

  test('a program is paced before its track is published too', async () => {
    const { clock, source, capture } = makeSource(100);
    const waiting = capture(200);
    expect(await settled(waiting)).toBe(false);
    clock.advance(100);
    expect(await settled(waiting)).toBe(true);
    clock.advance(200);
    expect(source.queuedMs).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });

  test('clearing the queue drops what waits and resolves the captures', async () => {
    const { clock, source, heard, sink, capture } = makeSource(50);
    source.attach(sink);
    const waiting = capture(500);
    source.clearQueue();
    expect(await settled(waiting)).toBe(true);
    expect(source.queuedMs).toBe(0);
    clock.advance(10);
    expect(heard).toEqual([undefined]);
  });

  test('closing rejects the captures that wait, and those that come later', async () => {
    const { clock, source, capture } = makeSource(50);
    const waiting = capture(500);
    source.close();
    await expect(waiting).rejects.toMatchObject({ code: 'OFFHOOK_CLOSED' });
    await expect(capture(10)).rejects.toMatchObject({ code: 'OFFHOOK_CLOSED' });
    expect(clock.pendingTimers).toBe(0);
  });

  test('what is captured may be written over afterwards', async () => {
    const { clock, source, heard, sink } = makeSource();
    source.attach(sink);
    const data = new Int16Array(480).fill(5);
    await source.captureFrame({ data, sampleRate: 48_000, numChannels: 1, samplesPerChannel: 480 });
    data.fill(9);
    clock.advance(10);
    expect(heard[0]![0]).toBe(5);
  });

  test('without a queue a frame goes straight to the senders', async () => {
    const { source, heard, sink, capture } = makeSource(0);
    source.attach(sink);
    await capture(10, 3);
    expect(heard).toHaveLength(1);
    await expect(capture(20)).rejects.toMatchObject({ code: 'OFFHOOK_INVALID_REQUEST' });
  });

  test('a rate that 10 ms do not divide evenly loses no sample', async () => {
    const { clock, source, heard, sink, capture } = makeSource(1_000, 11_025);
    source.attach(sink);
    await capture(1_000);
    clock.advance(1_000);
    expect(heard.reduce((sum, samples) => sum + samples!.length, 0)).toBe(11_025);
  });

  test('frames of another format are refused, and nothing else is lost', async () => {
    const { source, capture } = makeSource();
    const data = new Int16Array(160);
    await expect(
      source.captureFrame({ data, sampleRate: 16_000, numChannels: 1, samplesPerChannel: 160 }),
    ).rejects.toThrow(/16000 Hz/);
    await capture(10);
    expect(source.queuedMs).toBe(10);
  });

  test('captures that nobody awaits are refused after a minute of them', async () => {
    const { source, capture } = makeSource(100);
    const waiting = [capture(30_000), capture(30_200)];
    await expect(capture(10)).rejects.toThrow(/not awaited/);
    source.clearQueue();
    await Promise.all(waiting);
  });

  test.each([
    { sampleRate: 4_000, numChannels: 1, queueSizeMs: 100 },
    { sampleRate: 48_000, numChannels: 0, queueSizeMs: 100 },
    { sampleRate: 48_000, numChannels: 1, queueSizeMs: -1 },
  ])('a source of $sampleRate Hz, $numChannels channels, $queueSizeMs ms is refused', (options) => {
    expect(() => new AudioSource(options)).toThrow(/is not a valid/);
  });
});
