import { describe, expect, test } from 'vitest';
import { FilterStage } from '../../src/audio/filter-stage.js';
import type { AudioFrame, FrameFilter } from '../../src/audio/index.js';
import { AudioStream } from '../../src/audio/index.js';
import { createLogger } from '../../src/logging/index.js';

const tenMs = (value: number) => ({
  samples: new Int16Array(480).fill(value),
  sampleRate: 48_000,
  numChannels: 1,
});

describe('AudioStream', () => {
  test('a consumer that is busy finds its frames waiting, and loses the oldest beyond its queue', async () => {
    const values: number[] = [];
    let release = () => {};
    const stream = new AudioStream(
      {
        sampleRate: 48_000,
        numChannels: 1,
        queueSizeFrames: 2,
        onFrame: ({ data }) => {
          values.push(data[0]!);
          return new Promise((resolve) => {
            release = resolve;
          });
        },
        onEnd: () => {},
      },
      () => 0,
      () => {},
    );
    for (let value = 1; value <= 5; value++) stream.push(tenMs(value));
    expect(values).toEqual([1]);
    for (let i = 0; i < 3; i++) {
      release();
      await new Promise(setImmediate);
    }
    expect(values).toEqual([1, 4, 5]);
    expect(stream.stats).toMatchObject({ framesDelivered: 3, framesDropped: 2 });
  });

  test('a consumer that fails on a frame gets the next one', async () => {
    const values: number[] = [];
    const stream = new AudioStream(
      {
        sampleRate: 48_000,
        numChannels: 1,
        onFrame: ({ data }) => {
          values.push(data[0]!);
          if (data[0] === 1) throw new Error('the consumer fails');
          return data[0] === 2 ? Promise.reject(new Error('later')) : undefined;
        },
        onEnd: () => {},
      },
      () => 0,
      () => {},
    );
    for (let value = 1; value <= 3; value++) stream.push(tenMs(value));
    await new Promise(setImmediate);
    expect(values).toEqual([1, 2, 3]);
  });

  test('goes on when the decoded rate and channels change in mid-stream', () => {
    const frames: AudioFrame[] = [];
    const stream = new AudioStream(
      { sampleRate: 16_000, numChannels: 1, onFrame: (frame) => void frames.push(frame), onEnd: () => {} },
      () => 0,
      () => {},
    );
    for (let i = 0; i < 5; i++) stream.push(tenMs(100));
    for (let i = 0; i < 5; i++) {
      stream.push({ samples: new Int16Array(960).fill(100), sampleRate: 48_000, numChannels: 2 });
    }
    for (let i = 0; i < 5; i++) {
      stream.push({ samples: new Int16Array(160).fill(100), sampleRate: 16_000, numChannels: 1 });
    }
    expect(frames).toHaveLength(15);
    expect(frames[14]!.data.every((value) => value === 100)).toBe(true);
  });
});

describe('a filter with rates of its own', () => {
  test.each([
    [48_000, 48_000],
    [48_000, 16_000],
    [24_000, 24_000],
  ])('takes %i Hz and gives %i Hz, in a stream of 16,000 Hz', (inputRate, outputRate) => {
    const lengths = new Set<number>();
    let ready = false;
    const filter: FrameFilter = {
      inputRate,
      outputRate,
      process: (frame, done) => {
        lengths.add(frame.length);
        done(ready ? new Int16Array(outputRate / 100).fill(200) : undefined);
      },
      close: () => {},
    };
    const frames: AudioFrame[] = [];
    const stream = new AudioStream(
      {
        sampleRate: 16_000,
        numChannels: 1,
        filter,
        onFrame: (frame) => void frames.push(frame),
        onEnd: () => {},
      },
      () => 0,
      () => {},
    );
    for (let i = 0; i < 30; i++) {
      ready = i >= 10;
      stream.push({ samples: new Int16Array(480).fill(100), sampleRate: 48_000, numChannels: 1 });
    }
    expect([...lengths]).toEqual([inputRate / 100]);
    expect(frames.every(({ data }) => data.length === 160)).toBe(true);
    expect(frames.length).toBeGreaterThanOrEqual(29);
    expect(frames[8]!.data.at(-1)).toBe(100);
    expect(frames.at(-1)!.data.at(-1)).toBe(200);
  });
});

describe('FilterStage', () => {
  function makeStage(process: (frame: Int16Array, done: (filtered?: Int16Array) => void) => void) {
    const time = { nowMs: 0 };
    const stage = new FilterStage(
      { process, close: () => {} },
      48_000,
      () => time.nowMs,
      createLogger('test'),
    );
    const out: number[] = [];
    const push = (value: number) =>
      stage.push(Int16Array.of(value), ({ samples: [first] }) => void out.push(first!));
    return { time, stage, out, push };
  }

  test('keeps the order of frames in any order of the answers', () => {
    const answers: (() => void)[] = [];
    const { out, push } = makeStage((frame, done) => answers.push(() => done(Int16Array.of(frame[0]! * 10))));
    for (const value of [1, 2, 3]) push(value);
    for (const index of [2, 0, 1]) answers[index]!();
    expect(out).toEqual([10, 20, 30]);
  });

  test('lets a frame pass unfiltered when the filter does not answer in time', () => {
    let answer = () => {};
    const { time, stage, out, push } = makeStage((_, done) => {
      answer = () => done(Int16Array.of(99));
    });
    push(1);
    time.nowMs = 19;
    stage.expire();
    expect(out).toEqual([]);
    time.nowMs = 20;
    stage.expire();
    answer();
    expect(out).toEqual([1]);
    expect(stage.stats).toEqual({ framesFiltered: 0, framesLate: 1 });
  });

  test.each([
    [
      'throws',
      () => {
        throw new Error('filter fails');
      },
    ],
    [
      'answers with another length',
      (_: Int16Array, done: (filtered?: Int16Array) => void) => done(new Int16Array(9)),
    ],
    ['answers nothing', (_: Int16Array, done: (filtered?: Int16Array) => void) => done(undefined)],
  ])('a filter that %s lets the frame pass as it was', (_name, process) => {
    const { out, push } = makeStage(process);
    push(7);
    expect(out).toEqual([7]);
  });

  test('closed, it lets nothing out', () => {
    let answer = () => {};
    const { stage, out, push } = makeStage((_, done) => {
      answer = () => done(undefined);
    });
    push(1);
    stage.close();
    answer();
    stage.expire();
    expect(out).toEqual([]);
  });
});
