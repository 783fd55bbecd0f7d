import { describe, expect, test } from 'vitest';
import { buildNack, buildReceiverReport, serializeRtp } from '../../src/rtp/index.js';
import { extensionUris } from '../../src/transport/index.js';
import { MediaTrack, RtpRouter } from '../../src/transport/rtp-router.js';

function setUp() {
  const unknown: Buffer[] = [];
  const router = new RtpRouter((packet) => unknown.push(packet));
  router.setExtensions([{ id: 4, uri: extensionUris.mid }]);
  const add = (mid: string, ssrcs: number[]) => {
    const track = new MediaTrack({ mid, kind: 'audio' }, router, () => true);
    const packets: Buffer[] = [];
    track.onPacket = (packet) => packets.push(packet);
    router.add(track, ssrcs);
    return { track, packets };
  };
  return { router, unknown, add };
}

const packet = (ssrc: number, mid?: string) =>
  serializeRtp(
    {
      payloadType: 111,
      marker: false,
      sequenceNumber: 1,
      timestamp: 1,
      ssrc,
      ...(mid === undefined ? {} : { extensions: [{ id: 4, data: Buffer.from(mid) }] }),
    },
    Buffer.of(1),
  );

describe('RTP of one connection', () => {
  test('goes to the track of its SSRC, or of its MID, which is remembered', () => {
    const { router, unknown, add } = setUp();
    const one = add('1', [11]);
    const two = add('2', []);
    router.receive(packet(11));
    router.receive(packet(99));
    router.receive(packet(22, '2'));
    router.receive(packet(22));
    router.receive(packet(33, 'nobody'));
    expect([one.packets.length, two.packets.length, unknown.length]).toEqual([1, 2, 2]);
  });

  test('goes nowhere once its track is closed', () => {
    const { router, unknown, add } = setUp();
    const one = add('1', [11]);
    router.receive(packet(12, '1'));
    one.track.close();
    router.receive(packet(11));
    router.receive(packet(12, '1'));
    expect([one.packets.length, unknown.length]).toEqual([1, 2]);
  });

  test('of RTCP a compound packet goes once to each track that it is about', () => {
    const { router, unknown, add } = setUp();
    const [one, two] = [add('1', [11]), add('2', [22])];
    const block = { fractionLost: 0, cumulativeLost: 0, highestSequence: 0, jitter: 0, lastSr: 0, delay: 0 };
    const report = buildReceiverReport(7, 'c', [
      { ...block, ssrc: 11 },
      { ...block, ssrc: 22 },
    ] as never);
    router.receive(Buffer.concat([report, buildNack(7, 11, [1])]));
    router.receive(buildNack(7, 22, [1]));
    router.receive(buildNack(7, 33, [1]));
    expect([one.packets.length, two.packets.length, unknown.length]).toEqual([1, 2, 1]);
  });

  test('a peer that makes up SSRCs for one MID does not fill the memory', () => {
    const { router, add } = setUp();
    const one = add('1', [11]);
    for (let ssrc = 1_000; ssrc < 3_000; ssrc++) router.receive(packet(ssrc, '1'));
    expect(one.packets).toHaveLength(2_000);
    // The oldest of them is learned anew, the signalled one was never forgotten.
    router.receive(packet(11));
    expect(one.packets).toHaveLength(2_001);
  });
});
