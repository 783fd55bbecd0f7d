import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { packedPicture, type VideoFrame, VideoSource } from '../../src/video/index.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function recordingSink() {
  const frames: VideoFrame[] = [];
  return { frames, onFrame: (frame: VideoFrame) => void frames.push(frame) };
}

const frame: VideoFrame = { picture: packedPicture('rgba', 4, 2), timestampUs: 0, rotation: 0 };

test('until the program captures its first frame, tracks get a black one ten times a second', () => {
  const source = new VideoSource({ width: 6, height: 4 });
  const sink = recordingSink();
  source.attach(sink);
  vi.advanceTimersByTime(1_000);
  expect(sink.frames).toHaveLength(10);
  const { format, width, height, planes } = sink.frames[0]!.picture;
  expect({ format, width, height }).toEqual({ format: 'i420', width: 6, height: 4 });
  expect([...planes[0]!.bytes]).toEqual([...Array(24).fill(16), ...Array(12).fill(128)]);
  source.captureFrame(frame);
  vi.advanceTimersByTime(1_000);
  expect(sink.frames.slice(10)).toEqual([frame]);
});

test('no black frame is made for a source that has captured, or that no track has', () => {
  const captured = new VideoSource({ width: 4, height: 2 });
  const sink = recordingSink();
  captured.captureFrame(frame);
  captured.attach(sink);
  const abandoned = new VideoSource({ width: 4, height: 2 });
  abandoned.attach(sink);
  abandoned.detach(sink);
  expect(vi.getTimerCount()).toBe(0);
  abandoned.attach(sink);
  vi.advanceTimersByTime(100);
  expect(sink.frames).toHaveLength(1);
});
