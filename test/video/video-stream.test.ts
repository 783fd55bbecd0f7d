import { expect, test } from 'vitest';
import { packedPicture, type VideoFrame } from '../../src/video/picture.js';
import { VideoStream } from '../../src/video/video-stream.js';

const frame = (timestampUs: number): VideoFrame => ({
  picture: packedPicture('i420', 4, 2),
  timestampUs,
  rotation: 0,
});

test('a stream gives a slow consumer the newest frame, and drops those before it', async () => {
  const seen: number[] = [];
  let finish: () => void = () => {};
  const stream = new VideoStream(
    {
      onFrame: ({ timestampUs }) => {
        seen.push(timestampUs);
        return new Promise((resolve) => {
          finish = resolve;
        });
      },
      onEnd: () => {},
    },
    () => {},
  );
  for (const at of [1, 2, 3, 4]) stream.push(frame(at));
  expect(seen).toEqual([1]);
  finish();
  await new Promise((resolve) => setImmediate(resolve));
  expect(seen).toEqual([1, 4]);
  expect(stream.stats).toEqual({ framesDelivered: 2, framesDropped: 2 });
});

test('a stream gives frames in the format that was asked for, and none after its end', () => {
  const formats: string[] = [];
  let ends = 0;
  const stream = new VideoStream(
    {
      format: 'rgba',
      onFrame: ({ picture }) => void formats.push(picture.format),
      onEnd: () => ends++,
    },
    () => {},
  );
  stream.push(frame(1));
  stream.close();
  stream.close();
  stream.push(frame(2));
  expect({ formats, ends }).toEqual({ formats: ['rgba'], ends: 1 });
});
