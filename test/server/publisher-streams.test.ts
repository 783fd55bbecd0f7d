import { AddTrackRequest, TrackInfo, TrackType } from '@livekit/protocol';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { isRtcp, parseRtcp, type RtcpPacket, serializeRtp } from '../../src/rtp/index.js';
import { Boundary } from '../../src/server/boundary.js';
import { limits } from '../../src/server/limits.js';
import { hostCandidates } from '../../src/server/sfu/ice-addresses.js';
import { Publisher } from '../../src/server/sfu/publisher.js';
import { WorkMeter } from '../../src/server/work-meter.js';
import { extensionUris, generateCertificate, PeerConnection, UdpPort } from '../../src/transport/index.js';

// A publisher that names no SSRCs, as with simulcast by RID: its streams are found by the MID in each packet.

let udp: UdpPort;
let publisher: Publisher;
let client: PeerConnection;
let reports: RtcpPacket[];
/** SSRCs of the last request to limit the bitrate: all that the server has bound. */
let limited: number[];

beforeEach(async () => {
  udp = new UdpPort(0, '127.0.0.1');
  reports = [];
  limited = [];
  const nothing = () => {};
  publisher = new Publisher({
    name: 'test',
    boundary: new Boundary('test'),
    endpoint: { udp, certificate: generateCertificate('test') },
    iceLite: false,
    candidates: hostCandidates(udp, '127.0.0.1'),
    onPublished: nothing,
    onUnpublished: nothing,
    onData: () => [],
    onTrackPacket: nothing,
    onDataOverflow: nothing,
    onConnected: nothing,
    onFailed: nothing,
    onTracksOverdue: nothing,
    work: WorkMeter.forPackets(),
  });
  publisher.addTrack(
    new AddTrackRequest({ cid: 'c' }),
    new TrackInfo({ sid: 'TR_a', type: TrackType.VIDEO }),
  );
  client = new PeerConnection({ name: 'client', bindAddress: '127.0.0.1', protocols: ['udp'] });
  client.onPacket = (packet) => {
    if (!isRtcp(packet)) return;
    reports.push(...parseRtcp(packet));
    // REMB: 206 with format 15; the list of SSRCs is its end.
    const isRemb = packet[1] === 206 && (packet[0]! & 0x1f) === 15;
    if (isRemb) limited = Array.from({ length: packet[16]! }, (_, i) => packet.readUInt32BE(20 + 4 * i));
  };
  offer([]);
  await expect.poll(() => client.state).toBe('connected');
});
afterEach(async () => {
  client.close();
  publisher.close();
  await udp.close();
});

function offer(ssrcs: readonly number[]): void {
  const codec = { payloadType: 96, name: 'VP8', clockRate: 90_000, parameters: '', feedback: ['goog-remb'] };
  const sdp = client.offer([
    {
      kind: 'video',
      mid: '0',
      direction: 'sendonly',
      codecs: [codec],
      extensions: [{ id: 4, uri: extensionUris.mid }],
      msid: { streamId: 's', trackId: 'c' },
      sources: ssrcs.map((ssrc) => ({ ssrc, cname: 'c' })),
    },
  ]);
  client.acceptAnswer(publisher.answer(sdp));
}

function send(ssrc: number, sequenceNumber = 1): void {
  const extensions = [{ id: 4, data: Buffer.from('0') }];
  const header = { payloadType: 96, marker: true, sequenceNumber, timestamp: 90, ssrc, extensions };
  client.sendPacket(serializeRtp(header, Buffer.of(0x10, 1, 2, 3)));
}

const streams = () => [...publisher.tracks.get('TR_a')!.streams()];

/** The SSRCs that the next receiver report is about. */
async function nextReport(): Promise<number[]> {
  reports.length = 0;
  publisher.report(performance.now());
  await expect.poll(() => reports.map(({ type }) => type)).toContain('receiverReport');
  return reports.flatMap((report) =>
    report.type === 'receiverReport' ? report.reports.map(({ ssrc }) => ssrc) : [],
  );
}

test('ever new SSRCs under one MID leave the newest few behind, in the tables and in each report', async () => {
  const count = 10 * limits.streamsPerTrack.value;
  for (let i = 1; i <= count; i++) {
    send(i);
    // One after the other: a burst might lose some on the way.
    await expect.poll(streams, { interval: 1 }).toContain(i);
  }
  const newest = Array.from({ length: limits.streamsPerTrack.value }, (_, i) => count - i);
  expect(new Set(streams())).toEqual(new Set(newest));
  expect(new Set(await nextReport())).toEqual(new Set(newest));
  await expect.poll(() => new Set(limited)).toEqual(new Set(newest));
});

test('an SSRC that the client no longer names is in no report', async () => {
  send(1);
  send(2);
  await expect.poll(streams).toEqual([1, 2]);
  expect(new Set(await nextReport())).toEqual(new Set([1, 2]));
  offer([2]);
  send(2, 2);
  expect(await nextReport()).toEqual([2]);
  await expect.poll(() => limited).toEqual([2]);
});

test('an SSRC of a track that has ended is in no report', async () => {
  send(1);
  await expect.poll(streams).toEqual([1]);
  publisher.retain(() => false);
  reports.length = 0;
  publisher.report(performance.now());
  offer([]);
  await expect.poll(() => client.state).toBe('connected');
  expect(reports.filter(({ type }) => type === 'receiverReport')).toEqual([]);
});
