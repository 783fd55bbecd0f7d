import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  buildReceiverReport,
  buildSenderReport,
  isRtcp,
  type RtcpPacket,
  toNtp,
} from '../../src/rtp/index.js';
import { GatewayHouse } from './gateway-house.js';
import { RawPeer, requestOf } from './raw-peer.js';
import { RtpPeer } from './rtp-peer.js';
import { until } from './until.js';
import { ToneWorker } from './worker.js';

type SenderReport = RtcpPacket & { type: 'senderReport' };
type ReceiverReport = RtcpPacket & { type: 'receiverReport' };

const silence = Buffer.alloc(160, 0xff);
/** Packets that the telephone counts and does not send, by their order. */
const lost = [10, 20, 21, 200];

describe('reports about the media of a call', () => {
  let house: GatewayHouse;
  let worker: ToneWorker;
  let peer: RawPeer;
  let media: RtpPeer;

  beforeAll(async () => {
    house = await GatewayHouse.open();
    worker = await ToneWorker.start(house.server);
  });
  afterEach(async () => {
    peer.close();
    media.close();
    for (const call of [...house.gateway.calls.values()]) call.end('test is over');
    await house.quiet();
  });
  afterAll(async () => {
    await worker.stop();
    await house.close();
  });

  async function talk(callId: string, attributes: string[] = []): Promise<void> {
    peer = await RawPeer.open(house.gateway.port);
    media = await RtpPeer.open();
    peer.send(requestOf(peer, 'INVITE', callId, [], media.sdp(attributes)));
    const { status, to, body } = await peer.final(callId);
    expect(status).toBe(200);
    media.follow(body);
    const tagged = `To: <sip:1234@127.0.0.1>;tag=${to.params.get('tag')}`;
    peer.send(requestOf(peer, 'ACK', callId).replace('To: <sip:1234@127.0.0.1>', tagged));
  }

  const of = <T extends RtcpPacket>(type: T['type']) =>
    media.reports.flatMap(({ atMs, report }) =>
      report.type === type ? [{ atMs, report: report as T }] : [],
    );
  const isBefore = (timestamp: number, other: number) => ((timestamp - other) | 0) < 0;

  test('count what was sent, and what came and did not come, as the telephone does', async () => {
    await talk('reports');
    const firstSequence = media.nextSequenceNumber;
    media.keepSaying(
      () => silence,
      (index) => lost.includes(index),
    );
    await until(() => of<ReceiverReport>('receiverReport').length > 0, 'what came is reported');
    const ntp = toNtp(Date.now());
    const reportedMs = performance.now();
    const counts = { packetCount: 0, octetCount: 0 };
    media.sayRtcp(buildSenderReport({ ssrc: media.ssrc, cname: 'phone', ntp, rtpTimestamp: 0, ...counts }));
    await until(
      () => of<ReceiverReport>('receiverReport').length > 1 && of<SenderReport>('senderReport').length > 1,
      'both are reported twice',
    );
    const ssrcs = new Set(media.packets.map(({ ssrc }) => ssrc));
    expect(ssrcs.size).toBe(1);
    const [ssrc] = ssrcs;

    const sent = of<SenderReport>('senderReport').map(({ report }) => report);
    for (const report of sent) {
      const before = media.packets.filter(({ timestamp }) => isBefore(timestamp, report.rtpTimestamp));
      const octets = before.reduce((sum, { payload }) => sum + payload.length, 0);
      expect([report.ssrc, report.packetCount, report.octetCount]).toEqual([ssrc, before.length, octets]);
    }
    const [first, second] = sent as [SenderReport, SenderReport];
    expect(second.packetCount).toBeGreaterThan(first.packetCount + 100);
    // Both clocks of the reports run alike.
    const wallMs = Number(((second.ntp - first.ntp) * 1_000n) >> 32n);
    const mediaMs = ((second.rtpTimestamp - first.rtpTimestamp) >>> 0) / 8;
    expect(Math.abs(wallMs - mediaMs)).toBeLessThan(300);
    expect(Math.abs(Number(second.ntp >> 32n) - Number(ntp >> 32n))).toBeLessThan(30);

    const received = of<ReceiverReport>('receiverReport');
    let lostBefore = 0;
    let expectedBefore = 0;
    for (const { report } of received) {
      const [block] = report.reports;
      const count = block!.highestSequence - firstSequence + 1;
      const missing = lost.filter((index) => index < count).length;
      expect([report.ssrc, block!.ssrc, block!.cumulativeLost]).toEqual([ssrc, media.ssrc, missing]);
      const fraction = Math.floor(((missing - lostBefore) * 256) / (count - expectedBefore)) / 256;
      expect(block!.fractionLost).toBe(fraction);
      lostBefore = missing;
      expectedBefore = count;
    }
    // The telephone's numbers have begun again at 0 meanwhile.
    expect(received[1]!.report.reports[0]!.highestSequence).toBeGreaterThan(65_536);
    expect([received[0]!.report.reports[0]!.lastSenderReport, lostBefore]).toEqual([0, lost.length]);
    const { atMs, report } = received[1]!;
    const [block] = report.reports;
    expect(block!.lastSenderReport).toBe(Number((ntp >> 16n) & 0xffffffffn));
    // The round trip as the telephone works it out (RFC 3550, section 6.4.1).
    const roundTripMs = atMs - reportedMs - block!.delaySinceLastSenderReport / 65.536;
    expect(roundTripMs).toBeGreaterThan(-1);
    expect(roundTripMs).toBeLessThan(500);
    for (const { packet } of media.receivedRtcp) expect(packet.includes('offhook')).toBe(true);
  });

  test('go to where the telephone’s own come from, which behind a NAT is not what it offered', async () => {
    const elsewhere = await RtpPeer.open();
    try {
      await talk('nat', [`a=rtcp:${elsewhere.port + 1}`]);
      media.sayRtcp(buildReceiverReport(media.ssrc, 'phone', []));
      media.keepSaying(() => silence);
      await until(() => of<ReceiverReport>('receiverReport').length > 0, 'a report has come');
    } finally {
      elsewhere.close();
    }
  });

  test('come on the port of the media where that was offered', async () => {
    await talk('multiplexed', ['a=rtcp-mux']);
    media.keepSaying(() => silence);
    await until(() => media.received.some(isRtcp), 'a report has come');
    expect(media.receivedRtcp).toEqual([]);
  });
});
