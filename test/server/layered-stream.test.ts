import { TrackInfo, TrackType, VideoQuality } from '@livekit/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  parseRtcp,
  parseRtp,
  type RtpPacket,
  sequenceDifference,
  serializeRtp,
} from '../../src/rtp/index.js';
import { parseDependencyDescriptor } from '../../src/server/sfu/dependency-descriptor.js';
import { DownTrack } from '../../src/server/sfu/down-track.js';
import { bestTarget, spatialOf, targetOf, temporalOf } from '../../src/server/sfu/layered-frame.js';
import { UpTrack } from '../../src/server/sfu/up-track.js';

const ssrc = 7;
const sizes = [320, 640, 1_280].map((width) => ({ width, height: (width * 9) / 16 }));
/** The temporal layers of a sequence of pictures in three of them, as libwebrtc sends it. */
const pattern = [0, 2, 1, 2];

/** A frame of one spatial layer, and what it refers to by (picture, spatial layer). */
interface Sent {
  picture: number;
  spatial: number;
  temporal: number;
  references: string[];
}

const nameOf = (picture: number, spatial: number) => `${picture}/${spatial}`;

/** One of the two packets of a layer's frame (RFC 9628, flexible mode). Its last three bytes say of which picture and layer it is. */
function payloadOf(frame: {
  picture: number;
  spatial: number;
  temporal: number;
  isKeyFrame: boolean;
  usesBelow: boolean;
  isUsedAbove: boolean;
  part: number;
}): Buffer {
  const { picture, spatial, temporal, isKeyFrame, usesBelow, isUsedAbove, part } = frame;
  const hasStructure = isKeyFrame && spatial === 0 && part === 0;
  const startOrEnd = part === 0 ? 0x08 : 0x04;
  const dependence = (isKeyFrame ? 0 : 0x40) | (isUsedAbove ? 0 : 0x01);
  const flags = 0xb0 | startOrEnd | dependence | (hasStructure ? 0x02 : 0);
  const layers = (temporal << 5) | 0x10 | (spatial << 1) | (usesBelow ? 1 : 0);
  const structure = Buffer.alloc(hasStructure ? 1 + 4 * sizes.length : 0);
  if (hasStructure) structure[0] = 0x50;
  for (const [layer, { width, height }] of hasStructure ? sizes.entries() : []) {
    structure.writeUInt16BE(width, 1 + 4 * layer);
    structure.writeUInt16BE(height, 3 + 4 * layer);
  }
  return Buffer.concat([
    Buffer.of(flags, 0x80 | ((picture >> 8) & 0x7f), picture & 0xff, layers, ...(isKeyFrame ? [] : [2])),
    structure,
    Buffer.alloc(20 * 4 ** spatial, 0xaa),
    Buffer.of(picture >> 8, picture & 0xff, spatial),
  ]);
}

/** A track in one stream of three sizes and three rates, and what its one subscriber gets. */
function scalable({ isKeyOnly }: { isKeyOnly: boolean }) {
  const vp9 = { payloadType: 98, name: 'VP9', clockRate: 90_000, parameters: '', feedback: [] };
  let asked = 0;
  const up = new UpTrack(
    {
      info: new TrackInfo({ sid: 'TR_v', type: TrackType.VIDEO }),
      sendRtcp: (packet) => {
        for (const report of parseRtcp(packet)) if (report.type === 'pli') asked++;
      },
    },
    'video',
  );
  const section = { mid: '0', kind: 'video', sending: true, receiving: false } as const;
  const names = { streamId: '', trackId: '', extensions: [], ssrcs: [ssrc], rids: [] };
  up.negotiated({ ...section, ...names, codecs: [vp9] }, [vp9]);
  up.addStream(ssrc);
  const received: RtpPacket[] = [];
  const down = new DownTrack({
    upTrack: up,
    publisherSid: 'PA_a',
    takesTrailers: false,
    ssrc: 99,
    send: (packet) => {
      const parsed = parseRtp(packet);
      if (parsed?.ssrc === 99) received.push(parsed);
    },
  });
  up.downTracks.add(down);
  down.accept(down.codecs);

  const frames = new Map<string, Sent>();
  let picture = -1;
  let sinceKey = 0;
  let sequenceNumber = 65_000;
  /** The newest frame of each pair of layers. */
  let newest = new Map<string, string>();
  /** Sends a picture in all its layers, two packets each. */
  const publish = (
    isKeyFrame: boolean,
    nowMs: number,
    order: (packets: RtpPacket[]) => RtpPacket[] = (p) => p,
  ) => {
    picture++;
    if (isKeyFrame) [sinceKey, newest] = [0, new Map()];
    const temporal = pattern[sinceKey++ % pattern.length]!;
    const packets: RtpPacket[] = [];
    for (let spatial = 0; spatial < sizes.length; spatial++) {
      const references: string[] = [];
      if (!isKeyFrame) {
        const below = [...Array(Math.max(1, temporal)).keys()].flatMap(
          (t) => newest.get(`${spatial}/${t}`) ?? [],
        );
        // Of the temporal layers below, the frame that was sent last.
        references.push(below.sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10)).at(-1)!);
      }
      const usesBelow = spatial > 0 && (isKeyFrame || !isKeyOnly);
      if (usesBelow) references.push(nameOf(picture, spatial - 1));
      const isUsedAbove = spatial < sizes.length - 1 && (isKeyFrame || !isKeyOnly);
      frames.set(nameOf(picture, spatial), { picture, spatial, temporal, references });
      newest.set(`${spatial}/${temporal}`, nameOf(picture, spatial));
      for (const part of [0, 1]) {
        const payload = payloadOf({ picture, spatial, temporal, isKeyFrame, usesBelow, isUsedAbove, part });
        const marker = spatial === sizes.length - 1 && part === 1;
        const header = { payloadType: 98, marker, timestamp: (picture * 3_000) >>> 0, ssrc };
        packets.push(
          parseRtp(serializeRtp({ ...header, sequenceNumber: sequenceNumber++ & 0xffff }, payload))!,
        );
      }
    }
    for (const packet of order(packets)) up.handleRtp(packet, packet.payload.length + 12, nowMs);
  };
  const frameOf = ({ payload }: RtpPacket) =>
    frames.get(nameOf(payload.readUInt16BE(payload.length - 3), payload.at(-1)!))!;
  const contents = () => received.filter(({ payload }) => payload.length > 0);
  return { up, down, publish, frameOf, received, contents, takeAsked: () => asked };
}

/** The time of the first picture, which is behind what a track asks of its publisher at once. */
const startMs = performance.now() + 10_000;

const wish = (quality: VideoQuality, fps = 0) => ({ isDisabled: false, quality, size: undefined, fps });

/** Runs a second and more of pictures, a key frame first where one was asked for. */
function runFor(stream: ReturnType<typeof scalable>, pictures: number, fromMs: number): number {
  let askedBefore = stream.takeAsked();
  let nowMs = fromMs;
  for (let i = 0; i < pictures; i++, nowMs += 33) {
    const asked = stream.takeAsked();
    stream.publish(asked !== askedBefore || stream.contents().length === 0, nowMs);
    askedBefore = asked;
    if (i % 30 === 29) stream.down.update(nowMs);
  }
  return nowMs;
}

test.each([false, true])(
  'a subscriber gets the layers that it asks for and no others (independent layers: %s)',
  (isKeyOnly) => {
    const stream = scalable({ isKeyOnly });
    const layersSince = (from: number) => {
      const seen = stream.contents().slice(from).map(stream.frameOf);
      return {
        top: Math.max(...seen.map(({ spatial }) => spatial)),
        rate: Math.max(...seen.map(({ temporal }) => temporal)),
      };
    };
    let nowMs = runFor(stream, 40, startMs);
    expect(layersSince(0)).toEqual({ top: 2, rate: 2 });
    for (const [quality, top] of [
      [VideoQuality.LOW, 0],
      [VideoQuality.MEDIUM, 1],
      [VideoQuality.HIGH, 2],
    ] as const) {
      stream.down.setWish(wish(quality), nowMs);
      nowMs = runFor(stream, 40, nowMs);
      const from = stream.contents().length;
      nowMs = runFor(stream, 40, nowMs);
      expect(layersSince(from)).toEqual({ top, rate: 2 });
    }
    stream.down.setWish(wish(VideoQuality.HIGH, 15), nowMs);
    nowMs = runFor(stream, 8, nowMs);
    const from = stream.contents().length;
    nowMs = runFor(stream, 40, nowMs);
    expect(layersSince(from)).toEqual({ top: 2, rate: 1 });
  },
);

test('a size is asked for as the stream itself says that its layers are', () => {
  const stream = scalable({ isKeyOnly: true });
  const nowMs = runFor(stream, 40, startMs);
  stream.down.setWish({ ...wish(VideoQuality.HIGH), size: { width: 600, height: 340 } }, nowMs);
  expect(stream.down.wantedLayer).toBe(1);
});

test('a path that carries less takes pictures first, then size, and gives them back', () => {
  const stream = scalable({ isKeyOnly: false });
  let nowMs = runFor(stream, 70, startMs);
  const rateOf = (spatial: number, temporal: number) => stream.up.layerBitrateBps(spatial, temporal);
  expect(rateOf(2, 1)).toBeLessThan(rateOf(2, 2));
  const settle = (bitrateBps: number) => {
    stream.down.onBitrate(bitrateBps);
    nowMs = runFor(stream, 40, nowMs);
    const from = stream.contents().length;
    nowMs = runFor(stream, 8, nowMs);
    const seen = stream.contents().slice(from).map(stream.frameOf);
    return [
      Math.max(...seen.map(({ spatial }) => spatial)),
      Math.max(...seen.map(({ temporal }) => temporal)),
    ];
  };
  expect(settle(rateOf(2, 1) * 1.2)).toEqual([2, 1]);
  expect(settle(rateOf(1, 2) * 1.05)).toEqual([1, 2]);
  expect(settle(rateOf(0, 0))).toEqual([0, 0]);
  expect(settle(rateOf(2, 2) * 2)).toEqual([2, 2]);
});

test('going down where layers need each other takes no key frame, and where they do not it asks for one', () => {
  for (const isKeyOnly of [false, true]) {
    const stream = scalable({ isKeyOnly });
    const nowMs = runFor(stream, 40, startMs);
    const before = stream.takeAsked();
    stream.down.setWish(wish(VideoQuality.LOW), nowMs);
    expect(stream.takeAsked() - before).toBe(isKeyOnly ? 1 : 0);
  }
});

test('whatever is asked for, what is sent can be decoded, has no gaps, and each picture ends with its marker', () => {
  const act = fc.oneof(
    { weight: 6, arbitrary: fc.constant({ kind: 'picture' as const }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'key' as const }) },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('wish' as const),
        quality: fc.constantFrom(0, 1, 2),
        fps: fc.constantFrom(0, 5, 15),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant('bitrate' as const),
        bps: fc.integer({ min: 1_000, max: 200_000 }),
      }),
    },
  );
  fc.assert(
    fc.property(
      fc.boolean(),
      fc.array(act, { minLength: 30, maxLength: 200, size: 'max' }),
      (isKeyOnly, acts) => {
        const stream = scalable({ isKeyOnly });
        let nowMs = runFor(stream, 40, startMs);
        for (const each of acts) {
          if (each.kind === 'wish') stream.down.setWish(wish(each.quality as VideoQuality, each.fps), nowMs);
          else if (each.kind === 'bitrate') stream.down.onBitrate(each.bps);
          else stream.publish(each.kind === 'key', nowMs);
          nowMs += 33;
        }
        const packets = stream.contents();
        const got = new Set<string>();
        for (const [index, packet] of packets.entries()) {
          const { picture, spatial, references } = stream.frameOf(packet);
          for (const reference of references)
            expect(got, `what ${picture}/${spatial} refers to`).toContain(reference);
          got.add(nameOf(picture, spatial));
          const next = packets[index + 1];
          if (!next) continue;
          expect(sequenceDifference(next.sequenceNumber, packet.sequenceNumber)).toBe(1);
          expect(packet.marker).toBe(next.timestamp !== packet.timestamp);
        }
      },
    ),
    { numRuns: 60 },
  );
});

test('packets that come in another order get the same numbers and no number twice', () => {
  const stream = scalable({ isKeyOnly: true });
  stream.down.setWish(wish(VideoQuality.LOW), 0);
  stream.publish(true, 0);
  for (let i = 1; i < 60; i++)
    stream.publish(false, i * 33, (packets) =>
      i % 3 === 0 ? [packets[1]!, packets[4]!, packets[0]!, packets[2]!, packets[5]!, packets[3]!] : packets,
    );
  const numbers = stream.received.map(({ sequenceNumber }) => sequenceNumber);
  expect(new Set(numbers).size).toBe(numbers.length);
  const first = Math.min(...numbers);
  // Nothing is missing between the first and the last: what was left out too late was replaced.
  expect(Math.max(...numbers) - first).toBe(numbers.length - 1);
  expect(stream.contents().every((packet) => stream.frameOf(packet).spatial === 0)).toBe(true);
});

/** Descriptors of AV1 in two sizes and three rates (L2T3_KEY), as Chromium 143 sent them. */
const keyDescriptor = Buffer.from(
  '800001800514853aaaa8018004004002a02a0060010015d34514174d144c700874321651118543276809f8059813f80b38',
  'hex',
);

test('a dependency descriptor says which layers need a frame, and which can begin with it', () => {
  const key = parseDependencyDescriptor(keyDescriptor, undefined)!;
  expect(key).toMatchObject({
    isFrameStart: true,
    isFrameEnd: false,
    frameNumber: 1,
    spatial: 0,
    temporal: 0,
  });
  expect(key.structure!.targets.map((target) => [spatialOf(target), temporalOf(target)])).toEqual([
    [0, 0],
    [0, 1],
    [0, 2],
    [1, 0],
    [1, 1],
    [1, 2],
  ]);
  expect(key.structure!.sizes).toEqual([
    { width: 320, height: 180 },
    { width: 640, height: 360 },
  ]);
  const all = key.structure!.targets.reduce((bits, target) => bits | (1 << target), 0);
  expect([key.neededBy, key.startsFor, key.distances]).toEqual([all, all, []]);
  const read = (hex: string) => parseDependencyDescriptor(Buffer.from(hex, 'hex'), key.structure)!;
  // The larger size, of the key frame and of a predicted one in the third rate.
  const upper = [0, 1, 2].reduce((bits, temporal) => bits | (1 << targetOf(1, temporal)), 0);
  expect(read('c50002')).toMatchObject({ spatial: 1, temporal: 0, neededBy: upper, distances: [1] });
  expect(read('c80004')).toMatchObject({
    spatial: 1,
    temporal: 2,
    neededBy: 1 << targetOf(1, 2),
    startsFor: 0,
  });
  expect(parseDependencyDescriptor(Buffer.from('c80004', 'hex'), undefined)).toBe(undefined);
  for (let length = 0; length < keyDescriptor.length; length++) {
    const cut = parseDependencyDescriptor(keyDescriptor.subarray(0, length), undefined);
    expect(cut, `${length} bytes`).toBe(undefined);
  }
});

test('a dependency descriptor of any bytes is read or refused', () => {
  const { structure } = parseDependencyDescriptor(keyDescriptor, undefined)!;
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 255, size: 'max' }), fc.boolean(), (bytes, isKnown) => {
      const read = parseDependencyDescriptor(Buffer.from(bytes), isKnown ? structure : undefined);
      if (!read) return;
      expect(read.startsFor & ~read.neededBy).toBe(0);
      expect(targetOf(read.spatial, read.temporal)).toBeLessThanOrEqual(bestTarget);
    }),
    { numRuns: 3_000 },
  );
});
