import { TrackInfo, TrackType, VideoLayer, VideoQuality } from '@livekit/protocol';
import { expect, test } from 'vitest';
import {
  parseRtcp,
  parseRtp,
  type RtpPacket,
  sequenceDifference,
  serializeRtp,
} from '../../src/rtp/index.js';
import type { Codec } from '../../src/server/sfu/codecs.js';
import { DownTrack } from '../../src/server/sfu/down-track.js';
import { UpTrack } from '../../src/server/sfu/up-track.js';
import { extensionUris } from '../../src/transport/index.js';

const vp8: Codec = { payloadType: 96, name: 'VP8', clockRate: 90_000, parameters: '', feedback: [] };
const rids = ['q', 'h', 'f'];
const ssrcs = [11, 12, 13];
const sizes = [180, 360, 720];

/** A track in three layers, one subscriber, and what it gets. */
function simulcast() {
  const asked: number[] = [];
  const demands: boolean[][] = [];
  const up = new UpTrack(
    {
      info: new TrackInfo({
        sid: 'TR_v',
        type: TrackType.VIDEO,
        layers: sizes.map(
          (height, quality) =>
            new VideoLayer({ quality, height, width: (height * 16) / 9, bitrate: 100_000 * (quality + 1) }),
        ),
      }),
      sendRtcp: (packet) => {
        for (const report of parseRtcp(packet)) if (report.type === 'pli') asked.push(report.mediaSsrc);
      },
    },
    'video',
  );
  up.onDemand = (qualities) => demands.push(qualities.map(({ enabled }) => enabled));
  up.negotiated(
    {
      mid: '0',
      kind: 'video',
      sending: true,
      receiving: false,
      streamId: '',
      trackId: '',
      codecs: [vp8],
      extensions: [{ id: 10, uri: extensionUris.rid }],
      ssrcs: [],
      rids,
    },
    [vp8],
  );
  const sent: RtpPacket[] = [];
  const down = new DownTrack({
    upTrack: up,
    publisherSid: 'PA_a',
    takesTrailers: false,
    ssrc: 99,
    send: (packet) => {
      const parsed = parseRtp(packet);
      if (parsed && parsed.payloadType === 96) sent.push(parsed);
    },
  });
  up.downTracks.add(down);
  const counts = [100, 2_000, 40_000];
  /** One frame of one packet: its first byte after the descriptor says of which layer it is. */
  const publish = (layer: number, isKeyFrame: boolean, nowMs: number) => {
    const count = counts[layer]!++;
    const pictureId = (count * 3) & 0x7fff;
    const payload = Buffer.from([
      0x90,
      0xc0,
      0x80 | (pictureId >> 8),
      pictureId & 0xff,
      count & 0xff,
      isKeyFrame ? 0 : 1,
      layer,
    ]);
    const bytes = serializeRtp(
      {
        payloadType: 96,
        marker: true,
        sequenceNumber: count & 0xffff,
        timestamp: count * 3_000,
        ssrc: ssrcs[layer]!,
        extensions: [{ id: 10, data: Buffer.from(rids[layer]!) }],
      },
      payload,
    );
    up.addStream(ssrcs[layer]!);
    up.handleRtp(parseRtp(bytes)!, bytes.length, nowMs);
  };
  const layersOf = (packets: readonly RtpPacket[]) => packets.map(({ payload }) => payload.at(-1));
  return { up, down, sent, asked, demands, publish, layersOf };
}

test('a subscriber gets one layer, the best that is sent, from its key frame on', () => {
  const { down, sent, publish, layersOf } = simulcast();
  down.accept(down.codecs);
  for (const layer of [0, 1, 2]) publish(layer, true, 0);
  for (const layer of [0, 1, 2]) publish(layer, false, 33);
  down.update(40);
  publish(2, true, 66);
  for (const layer of [0, 1, 2]) publish(layer, false, 99);
  expect(layersOf(sent).at(-1)).toBe(2);
  expect(layersOf(sent)).toEqual([...layersOf(sent)].sort());
});

test('where the layer changes, sequence numbers, times and picture ids go on', () => {
  const { up, down, sent, publish } = simulcast();
  down.accept(down.codecs);
  let nowMs = 0;
  for (const layer of [0, 2, 1, 0, 2]) {
    const nothingOfTheSize = { isDisabled: false, quality: layer as VideoQuality, size: undefined, fps: 0 };
    for (const each of [0, 1, 2]) publish(each, false, nowMs);
    down.setWish(nothingOfTheSize, nowMs);
    for (let frame = 0; frame < 4; frame++) {
      nowMs += 33;
      for (const each of [0, 1, 2]) publish(each, frame === 1, nowMs);
    }
  }
  expect(up.layerCount).toBe(3);
  expect(new Set(sent.map(({ payload }) => payload.at(-1)))).toEqual(new Set([0, 1, 2]));
  const pictureId = ({ payload }: RtpPacket) => payload.readUInt16BE(2) & 0x7fff;
  const baseIndex = ({ payload }: RtpPacket) => payload[4]!;
  for (let i = 1; i < sent.length; i++) {
    const [before, after] = [sent[i - 1]!, sent[i]!];
    expect(sequenceDifference(after.sequenceNumber, before.sequenceNumber)).toBe(1);
    expect((after.timestamp - before.timestamp) | 0).toBeGreaterThan(0);
    const isOfSameLayer = before.payload.at(-1) === after.payload.at(-1);
    expect((pictureId(after) - pictureId(before)) & 0x7fff).toBe(isOfSameLayer ? 3 : 1);
    expect((baseIndex(after) - baseIndex(before)) & 0xff).toBe(1);
  }
});

test('a subscriber that asks for little, or for a small picture, gets the layer for it', () => {
  const { down, sent, publish, layersOf } = simulcast();
  down.accept(down.codecs);
  for (const layer of [0, 1, 2]) publish(layer, true, 0);
  down.setWish({ isDisabled: false, quality: VideoQuality.LOW, size: undefined, fps: 0 }, 10);
  for (const layer of [0, 1, 2]) publish(layer, true, 33);
  expect(layersOf(sent).at(-1)).toBe(0);
  down.setWish(
    { isDisabled: false, quality: VideoQuality.LOW, size: { width: 600, height: 340 }, fps: 0 },
    40,
  );
  for (const layer of [0, 1, 2]) publish(layer, true, 66);
  expect(layersOf(sent).at(-1)).toBe(1);
});

test('a layer that its publisher stops sending is left for the best of the others', () => {
  const { down, sent, asked, publish, layersOf } = simulcast();
  down.accept(down.codecs);
  for (const layer of [0, 1, 2]) publish(layer, true, 0);
  down.update(10);
  publish(2, true, 33);
  expect(layersOf(sent).at(-1)).toBe(2);
  asked.length = 0;
  for (let nowMs = 66; nowMs < 3_000; nowMs += 33) for (const layer of [0, 1]) publish(layer, false, nowMs);
  down.update(3_000);
  expect(asked).toEqual([12]);
  publish(1, true, 3_033);
  expect(layersOf(sent).at(-1)).toBe(1);
});

test('a share of the path that carries less than the layer takes it down, and up again', () => {
  const { down, sent, publish, layersOf } = simulcast();
  down.accept(down.codecs);
  const start = performance.now();
  for (const layer of [0, 1, 2]) publish(layer, true, start);
  down.onBitrate(150_000);
  for (const layer of [0, 1, 2]) publish(layer, true, start + 33);
  expect(layersOf(sent).at(-1)).toBe(0);
  down.onBitrate(1_000_000);
  for (const layer of [0, 1, 2]) publish(layer, true, start + 66);
  expect(layersOf(sent).at(-1)).toBe(2);
});

test('the publisher is told at once of layers that are wanted, and later of those that are not', () => {
  const { up, down, demands, publish } = simulcast();
  down.accept(down.codecs);
  const start = performance.now();
  publish(0, true, start);
  down.setWish({ isDisabled: false, quality: VideoQuality.LOW, size: undefined, fps: 0 }, start);
  up.updateDemand(start);
  expect(demands).toEqual([]);
  up.updateDemand(start + 6_000);
  expect(demands).toEqual([[true, false, false]]);
  down.setWish({ isDisabled: false, quality: VideoQuality.MEDIUM, size: undefined, fps: 0 }, start + 7_000);
  expect(demands.at(-1)).toEqual([true, true, false]);
  down.setWish({ isDisabled: true, quality: VideoQuality.MEDIUM, size: undefined, fps: 0 }, start + 8_000);
  up.updateDemand(start + 14_000);
  expect(demands.at(-1)).toEqual([false, false, false]);
});

test('a track without layers is asked for a key frame when a subscriber begins, and not again', () => {
  let asked = 0;
  const sendRtcp = (packet: Buffer) => {
    asked += parseRtcp(packet).filter(({ type }) => type === 'pli').length;
  };
  const up = new UpTrack({ info: new TrackInfo({ sid: 'TR_v', type: TrackType.VIDEO }), sendRtcp }, 'video');
  const section = {
    mid: '0',
    kind: 'video',
    sending: true,
    receiving: false,
    streamId: '',
    trackId: '',
  } as const;
  up.negotiated({ ...section, codecs: [vp8], extensions: [], ssrcs: [11], rids: [] }, [vp8]);
  up.addStream(11);
  const header = { payloadType: 96, marker: true, timestamp: 1, ssrc: 11, sequenceNumber: 1 };
  const packet = parseRtp(serializeRtp(header, Buffer.of(0x10, 1, 2)))!;
  const startMs = performance.now();
  up.handleRtp(packet, 20, startMs - 5_000);
  const down = new DownTrack({
    upTrack: up,
    publisherSid: 'PA_a',
    takesTrailers: false,
    ssrc: 99,
    send() {},
  });
  up.downTracks.add(down);
  down.accept(down.codecs);
  expect(asked).toBe(1);
  for (let second = 1; second < 5; second++) down.update(startMs + second * 1_000);
  expect(asked).toBe(1);
});
