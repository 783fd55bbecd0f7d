import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { createLogger } from '../../src/logging/index.js';
import { loadCodecs, type Picture, packedPicture } from '../../src/video/index.js';
import { VideoDecoder } from '../../src/video/video-decoder.js';
import { VideoEncoder } from '../../src/video/video-encoder.js';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;
const log = createLogger('test');

async function isCollected(object: WeakRef<object>): Promise<boolean> {
  await setImmediate();
  collectGarbage();
  return object.deref() === undefined;
}

/** An encoder whose callbacks refer to `owner`, and to nothing that this file holds on to but `frames`. */
function newEncoder(frames: Buffer[]): { encoder: VideoEncoder; owner: WeakRef<object> } {
  const owner = { frames: 0 };
  const encoder = new VideoEncoder({
    codec: 'vp8',
    log,
    framesPerSecond: 30,
    onFrame: (data) => {
      owner.frames += 1;
      frames.push(data);
    },
    onUnavailable: (error) => expect.unreachable(String(error)),
  });
  return { encoder, owner: new WeakRef(owner) };
}

async function encodeOnce(frames: Buffer[]): Promise<WeakRef<object>> {
  const { encoder, owner } = newEncoder(frames);
  await loadCodecs();
  await setImmediate();
  expect(encoder.encode(packedPicture('i420', 64, 64), 100_000, true, 0)).toBe(true);
  await expect.poll(() => frames).toHaveLength(1);
  encoder.close();
  return owner;
}

function newDecoder(pictures: Picture[]): { decoder: VideoDecoder; owner: WeakRef<object> } {
  const owner = { pictures: 0 };
  const decoder = new VideoDecoder({
    codec: 'vp8',
    log,
    onPicture: (picture) => {
      owner.pictures += 1;
      pictures.push(picture);
    },
    onKeyFrameNeeded: () => {},
    onUnavailable: (error) => expect.unreachable(String(error)),
  });
  return { decoder, owner: new WeakRef(owner) };
}

async function decodeOnce(frame: Buffer): Promise<WeakRef<object>> {
  const pictures: Picture[] = [];
  const { decoder, owner } = newDecoder(pictures);
  decoder.decode(frame, true, 0);
  await expect.poll(() => pictures).toHaveLength(1);
  decoder.close();
  return owner;
}

test('a closed encoder and a closed decoder keep nothing of who owned them', async () => {
  const frames: Buffer[] = [];
  const encoding = await encodeOnce(frames);
  await expect.poll(() => isCollected(encoding)).toBe(true);
  const decoding = await decodeOnce(frames[0]!);
  await expect.poll(() => isCollected(decoding)).toBe(true);
});
