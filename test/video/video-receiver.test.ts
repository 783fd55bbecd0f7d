import { expect, test } from 'vitest';
import { parseRtcp, serializeRtp } from '../../src/rtp/index.js';
import { loadCodecs, type VideoFormat, VideoReceiver } from '../../src/video/index.js';
import { vp8 } from '../../src/video/payload/vp8.js';
import { until } from '../support/until.js';

const format: VideoFormat = {
  payloadTypes: new Map([[96, { codec: 'vp8' as const }]]),
  repairs: new Map(),
  orientationExtensionId: undefined,
  transportSequenceId: undefined,
};

/** A receiver, what it asks for, and a publisher whose frames are of one packet. */
function subscription() {
  const keyFrameRequests: number[] = [];
  const receiver = new VideoReceiver({
    format,
    sendRtcp: (packet) => {
      for (const { type } of parseRtcp(packet)) if (type === 'pli') keyFrameRequests.push(1);
    },
  });
  let count = 0;
  const publish = (isKeyFrame: boolean) => {
    // The lowest bit of a frame's first byte is 0 where it needs no other.
    const data = Buffer.from([isKeyFrame ? 0x10 : 0x11, 0, 0, 0x9d, 0x01, 0x2a, 2, 0, 2, 0]);
    const [payload] = vp8.packetize({ data, isKeyFrame, pictureId: count }, 1_000);
    const header = {
      payloadType: 96,
      marker: true,
      sequenceNumber: count,
      timestamp: count * 3_000,
      ssrc: 7,
    };
    count++;
    receiver.handlePacket(serializeRtp(header, payload!));
  };
  const open = () => receiver.openStream({ onFrame: () => {}, onEnd: () => {} });
  return { receiver, publish, open, keyFrameRequests };
}

test('a stream that is opened a little after the key frame begins with it, and asks for no other', () => {
  const { receiver, publish, open, keyFrameRequests } = subscription();
  publish(true);
  publish(false);
  open();
  expect(receiver.stats()).toMatchObject({ framesReceived: 2, keyFramesReceived: 1 });
  expect(keyFrameRequests).toEqual([]);
  receiver.close();
});

test('a stream that is opened long after the key frame asks for another one, and nothing was kept for it', () => {
  const { receiver, publish, open, keyFrameRequests } = subscription();
  publish(true);
  for (let i = 0; i < 40; i++) publish(false);
  expect(receiver.stats().framesReceived).toBe(0);
  open();
  expect(keyFrameRequests).toHaveLength(1);
  receiver.close();
});

test('a stream that is opened before the first packet takes a key frame of many packets as it comes', async () => {
  const { receiver, open, keyFrameRequests } = subscription();
  open();
  const data = Buffer.concat([Buffer.from([0x10, 0, 0, 0x9d, 0x01, 0x2a, 2, 0, 2, 0]), Buffer.alloc(3_000)]);
  const payloads = vp8.packetize({ data, isKeyFrame: true, pictureId: 0 }, 1_000);
  for (const [index, payload] of payloads.entries()) {
    const marker = index === payloads.length - 1;
    const header = { payloadType: 96, marker, sequenceNumber: index, timestamp: 0, ssrc: 7 };
    receiver.handlePacket(serializeRtp(header, payload));
    // The codecs are loaded by then.
    await loadCodecs();
    await Promise.resolve();
  }
  expect(receiver.stats()).toMatchObject({ framesReceived: 1, keyFramesReceived: 1 });
  expect(keyFrameRequests).toEqual([]);
  receiver.close();
});

test('frames of an encrypted track are decrypted without a stream, for the state of its encryption', async () => {
  const { receiver, publish, open, keyFrameRequests } = subscription();
  const decrypted: boolean[] = [];
  receiver.transform = (frame, { isKeyFrame }) => {
    decrypted.push(isKeyFrame);
    return frame;
  };
  publish(true);
  for (let i = 0; i < 40; i++) publish(false);
  await until('decrypted frames', () => decrypted.length === 41);
  expect(decrypted.filter((isKeyFrame) => isKeyFrame)).toHaveLength(1);
  // A stream begins with the next key frame.
  expect(keyFrameRequests).toEqual([]);
  open();
  expect(keyFrameRequests).toHaveLength(1);
  publish(false);
  publish(true);
  await until('key frame', () => decrypted.length === 42);
  expect(decrypted.at(-1)).toBe(true);
  receiver.close();
});

test('a stream of an encrypted track begins with the key frame that came a little before, decrypted once', async () => {
  const { receiver, publish, open, keyFrameRequests } = subscription();
  let decrypted = 0;
  receiver.transform = (frame) => {
    decrypted++;
    return frame;
  };
  publish(true);
  publish(false);
  await until('decrypted frames', () => decrypted === 2);
  open();
  expect(keyFrameRequests).toEqual([]);
  publish(false);
  await until('decrypted frame', () => decrypted === 3);
  receiver.close();
});

test('nothing is kept of an encrypted key frame that cannot be read: a stream asks for another one', async () => {
  const { receiver, publish, open, keyFrameRequests } = subscription();
  let seen = 0;
  receiver.transform = (frame, { isKeyFrame }) => {
    seen++;
    return isKeyFrame ? undefined : frame;
  };
  publish(true);
  publish(false);
  await until('frames', () => seen === 2);
  open();
  expect(keyFrameRequests).toHaveLength(1);
  receiver.close();
});
