import { TrackInfo, TrackType, VideoQuality } from '@livekit/protocol';
import { expect, test } from 'vitest';
import { parseRed } from '../../src/audio/index.js';
import { buildRed } from '../../src/audio/red.js';
import { parseRtp, type RtpPacket, serializeRtp } from '../../src/rtp/index.js';
import type { Codec } from '../../src/server/sfu/codecs.js';
import { DownTrack } from '../../src/server/sfu/down-track.js';
import { UpTrack } from '../../src/server/sfu/up-track.js';

const opus: Codec = {
  payloadType: 96,
  name: 'opus',
  clockRate: 48_000,
  channels: 2,
  parameters: '',
  feedback: [],
};
const red: Codec = { ...opus, payloadType: 97, name: 'red', parameters: '96/96' };
const levelUri = 'urn:ietf:params:rtp-hdrext:ssrc-audio-level';

function subscription(published: Codec[], acceptedNames: string[]) {
  const sent: RtpPacket[] = [];
  const requests: Buffer[] = [];
  const up = new UpTrack(
    {
      info: new TrackInfo({ sid: 'TR_a', type: TrackType.AUDIO }),
      sendRtcp: (packet) => requests.push(packet),
    },
    'audio',
  );
  const extensions = [{ id: 5, uri: levelUri }];
  up.negotiated(
    {
      mid: '0',
      kind: 'audio',
      sending: true,
      receiving: false,
      streamId: '',
      trackId: '',
      codecs: published,
      extensions,
      ssrcs: [7],
      rids: [],
    },
    published,
  );
  const send = (packet: Buffer) => sent.push(parseRtp(packet)!);
  const down = new DownTrack({ takesTrailers: false, upTrack: up, publisherSid: 'PA_a', ssrc: 99, send });
  up.downTracks.add(down);
  down.accept(down.codecs.filter(({ name }) => acceptedNames.includes(name)));
  let sequenceNumber = 10;
  const publish = (codec: Codec, payload: Uint8Array) => {
    const extension = { id: 5, data: Uint8Array.of(0x80 | 20) };
    const header = { payloadType: codec.payloadType, marker: true, timestamp: sequenceNumber * 960, ssrc: 7 };
    const bytes = serializeRtp({ ...header, sequenceNumber, extensions: [extension] }, payload);
    sequenceNumber++;
    up.handleRtp(parseRtp(bytes)!, bytes.length, 0);
  };
  return { up, down, sent, requests, publish, skip: () => sequenceNumber++ };
}

test('a packet keeps payload, marker and level, and gets the subscription’s SSRC and payload type', () => {
  const { sent, publish } = subscription([opus], ['opus']);
  publish(opus, Uint8Array.of(1, 2, 3));
  expect(sent).toHaveLength(1);
  expect(sent[0]).toMatchObject({ payloadType: 111, ssrc: 99, marker: true });
  expect([...sent[0]!.payload]).toEqual([1, 2, 3]);
  expect([...sent[0]!.extensions]).toEqual([[1, Buffer.of(0x80 | 20)]]);
});

test('RED stays RED for those who take it, with their payload type for the blocks', () => {
  const { sent, publish } = subscription([red, opus], ['red', 'opus']);
  publish(red, buildRed(96, Uint8Array.of(9), [{ timestampOffset: 960, payload: Uint8Array.of(8) }]));
  expect(sent[0]?.payloadType).toBe(63);
  expect(parseRed(sent[0]!.payload)?.map(({ payloadType, payload }) => [payloadType, ...payload])).toEqual([
    [111, 8],
    [111, 9],
  ]);
});

test('RED is unwrapped for those who do not, and plain Opus of a RED track goes through', () => {
  const { sent, publish } = subscription([red, opus], ['opus']);
  publish(red, buildRed(96, Uint8Array.of(9), [{ timestampOffset: 960, payload: Uint8Array.of(8) }]));
  publish(opus, Uint8Array.of(7));
  publish(red, Uint8Array.of(0x80));
  expect(sent.map(({ payloadType, payload }) => [payloadType, ...payload])).toEqual([
    [111, 9],
    [111, 7],
  ]);
});

test('a packet that was lost on the way is sent again when the subscriber asks', () => {
  const { down, sent, publish } = subscription([opus], ['opus']);
  for (let i = 0; i < 3; i++) publish(opus, Uint8Array.of(i));
  const { sequenceNumber } = sent[1]!;
  down.handleRtcp({ type: 'nack', senderSsrc: 5, mediaSsrc: 99, sequenceNumbers: [sequenceNumber] }, 0);
  expect(sent).toHaveLength(4);
  expect(sent[3]).toMatchObject({ sequenceNumber });
  expect([...sent[3]!.payload]).toEqual([1]);
});

test('a packet that never came is asked of the publisher', () => {
  const { requests, publish, skip } = subscription([opus], ['opus']);
  publish(opus, Uint8Array.of(1));
  skip();
  publish(opus, Uint8Array.of(2));
  expect(requests).toHaveLength(1);
  expect(requests[0]?.readUInt32BE(8)).toBe(7);
  expect(requests[0]?.readUInt16BE(12)).toBe(11);
});

test('while paused nothing is forwarded, and afterwards there is no gap', () => {
  const { down, sent, publish } = subscription([opus], ['opus']);
  publish(opus, Uint8Array.of(1));
  down.setWish({ isDisabled: true, quality: VideoQuality.HIGH, size: undefined, fps: 0 }, 0);
  publish(opus, Uint8Array.of(2));
  down.setWish({ isDisabled: false, quality: VideoQuality.HIGH, size: undefined, fps: 0 }, 0);
  publish(opus, Uint8Array.of(3));
  expect(sent.map(({ payload }) => [...payload])).toEqual([[1], [3]]);
  expect(sent[1]!.sequenceNumber - sent[0]!.sequenceNumber).toBe(1);
});
