import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { BandwidthEstimator } from '../../src/rtp/bandwidth-estimator.js';
import { CongestionControl, parseRtcp } from '../../src/rtp/index.js';
import {
  buildTransportFeedback,
  type TransportFeedback,
  TransportFeedbackRecorder,
} from '../../src/rtp/transport-feedback.js';

function feedbackOf(packet: Buffer): TransportFeedback {
  const [parsed] = parseRtcp(packet);
  if (parsed?.type !== 'transportFeedback') throw new Error('no transport feedback');
  return parsed;
}

const gap = fc.oneof(fc.constant(undefined), fc.integer({ min: 0, max: 2_000 }));

test('a report says of every packet when it came, or that it did not', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 0xffff }),
      fc.integer({ min: 0, max: 100_000_000 }),
      fc.array(gap, { minLength: 1, maxLength: 300 }),
      (baseSequenceNumber, startMs, gaps) => {
        let atMs = startMs;
        const arrivalsMs = gaps.map((ms) => {
          atMs += ms ?? 0;
          return ms === undefined ? undefined : atMs;
        });
        const built = buildTransportFeedback({
          senderSsrc: 1,
          mediaSsrc: 7,
          baseSequenceNumber,
          feedbackCount: 3,
          arrivalsMs,
        });
        const parsed = feedbackOf(built);
        expect(parsed).toMatchObject({ senderSsrc: 1, mediaSsrc: 7, baseSequenceNumber, feedbackCount: 3 });
        expect(parsed.arrivalsMs).toEqual(arrivalsMs);
      },
    ),
  );
});

test('a report that claims more packets than there can be is passed over', () => {
  const packet = buildTransportFeedback({
    senderSsrc: 1,
    mediaSsrc: 7,
    baseSequenceNumber: 0,
    feedbackCount: 0,
    arrivalsMs: [0],
  });
  packet.writeUInt16BE(60_000, 14);
  expect(parseRtcp(packet)).toEqual([]);
});

test('the recorder reports ten times a second, lost packets too', () => {
  const recorder = new TransportFeedbackRecorder(1);
  const reports: TransportFeedback[] = [];
  for (let i = 0; i < 40; i++) {
    if (i % 7 === 3) continue;
    const number = Buffer.alloc(2);
    number.writeUInt16BE((65_520 + i) & 0xffff);
    const report = recorder.received(number, 7, 1_000 + i * 10);
    if (report) reports.push(feedbackOf(report));
  }
  expect(reports).toHaveLength(4);
  const [, second] = reports;
  expect(second?.baseSequenceNumber).toBe(65_521);
  expect(second?.arrivalsMs).toHaveLength(11);
  expect(second?.arrivalsMs.filter((arrival) => arrival === undefined)).toHaveLength(2);
});

/** A packet with an extension that the transport's number goes into. */
function numberedPacket(sequenceNumber: number): Buffer {
  const packet = Buffer.alloc(1_200);
  packet.writeUInt16BE(0x9060, 0);
  packet.writeUInt16BE(sequenceNumber, 2);
  packet.writeUInt16BE(0xbede, 12);
  packet.writeUInt16BE(1, 14);
  packet[16] = 0x31;
  return packet;
}

describe('an exception in a timer is reported, and ends nothing', () => {
  afterEach(() => void vi.useRealTimers());

  test('when a packet that waits cannot be sent: those behind it are', () => {
    vi.useFakeTimers();
    const sent: number[] = [];
    const failures: unknown[] = [];
    const control = new CongestionControl({
      send: (packet) => {
        const number = packet.readUInt16BE(2);
        if (number === 20) throw new Error('not this one');
        sent.push(number);
      },
      onError: (error) => failures.push(error),
      nowMs: () => performance.now(),
      startBps: 100_000,
    });
    for (let number = 0; number < 40; number++) control.send(numberedPacket(number));
    expect(sent.length).toBeLessThan(20);
    vi.advanceTimersByTime(60_000);
    expect(failures).toEqual([new Error('not this one')]);
    expect(sent).toEqual(Array.from({ length: 40 }, (_, i) => i).filter((number) => number !== 20));
    expect(control.queueMs).toBe(0);
    control.close();
  });

  test('when a probe cannot be sent', () => {
    vi.useFakeTimers();
    const failures: unknown[] = [];
    const control = new CongestionControl({
      send: () => {},
      onError: (error) => failures.push(error),
      nowMs: () => performance.now(),
      startBps: 100_000,
    });
    const sendPadding = () => {
      throw new Error('closed');
    };
    control.add({ wantedBps: 1_000_000, onBitrate: () => {}, sendPadding });
    const arrivalsMs = [performance.now()];
    const report = { senderSsrc: 1, mediaSsrc: 7, baseSequenceNumber: 0, feedbackCount: 0, arrivalsMs };
    control.handleFeedback(feedbackOf(buildTransportFeedback(report)));
    vi.advanceTimersByTime(1_000);
    expect(failures.length).toBeGreaterThan(10);
    expect(failures[0]).toEqual(new Error('closed'));
    control.close();
  });
});

/** Sends what the estimator allows, at most `offeredBps`, over a link with a queue, for some seconds. */
function runOverLink(
  estimator: BandwidthEstimator,
  link: { bps: (ms: number) => number; queueMs: number; loss?: number; jitterMs?: number },
  { seconds, offeredBps, startMs = 0 }: { seconds: number; offeredBps: number; startMs?: number },
): { deliveredBps: number; worstQueueMs: number } {
  const packetBytes = 1_000;
  let seed = 1;
  const random = () => {
    seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff;
    return seed / 0x7fffffff;
  };
  let sequence = 0;
  let linkFreeMs = startMs;
  let nextSendMs = startMs;
  let delivered = 0;
  let worstQueueMs = 0;
  let report: { base: number; arrivals: (number | undefined)[] } = { base: 0, arrivals: [] };
  for (let nowMs = startMs; nowMs < startMs + seconds * 1_000; nowMs++) {
    while (nextSendMs <= nowMs) {
      const rate = Math.min(offeredBps, estimator.bitrateBps);
      nextSendMs += (packetBytes * 8_000) / rate;
      estimator.sent(sequence & 0xffff, packetBytes, nowMs);
      sequence++;
      const waitMs = Math.max(0, linkFreeMs - nowMs);
      const isLost = waitMs > link.queueMs || random() < (link.loss ?? 0);
      if (waitMs <= link.queueMs)
        linkFreeMs = Math.max(linkFreeMs, nowMs) + (packetBytes * 8_000) / link.bps(nowMs);
      if (nowMs - startMs > (seconds * 1_000) / 2) {
        if (!isLost) delivered += packetBytes;
        worstQueueMs = Math.max(worstQueueMs, Math.min(waitMs, link.queueMs));
      }
      report.arrivals.push(isLost ? undefined : linkFreeMs + 20 + random() * (link.jitterMs ?? 0));
    }
    if (nowMs % 100 !== 99) continue;
    estimator.feedback(
      {
        type: 'transportFeedback',
        senderSsrc: 1,
        mediaSsrc: 7,
        feedbackCount: 0,
        baseSequenceNumber: report.base & 0xffff,
        arrivalsMs: report.arrivals,
      },
      nowMs,
    );
    report = { base: sequence, arrivals: [] };
  }
  return { deliveredBps: (delivered * 8) / (seconds / 2), worstQueueMs };
}

const newEstimator = () =>
  new BandwidthEstimator({ startBps: 1_500_000, minBps: 60_000, maxBps: 50_000_000 });

test('on a narrow link the estimate falls to what it carries, and the queue stays short', () => {
  const estimator = newEstimator();
  const link = { bps: () => 300_000, queueMs: 500, jitterMs: 5 };
  const { deliveredBps, worstQueueMs } = runOverLink(estimator, link, { seconds: 30, offeredBps: 2_000_000 });
  expect(worstQueueMs).toBeLessThan(250);
  expect(estimator.bitrateBps).toBeLessThan(360_000);
  expect(deliveredBps).toBeGreaterThan(180_000);
});

test('on a wide link the estimate grows to what is sent, with any jitter', () => {
  const estimator = newEstimator();
  const link = { bps: () => 50_000_000, queueMs: 500, jitterMs: 10 };
  runOverLink(estimator, link, { seconds: 15, offeredBps: 2_500_000 });
  expect(estimator.bitrateBps).toBeGreaterThan(2_400_000);
});

test('the estimate follows a link that becomes narrow, and wide again', () => {
  const estimator = newEstimator();
  const link = { bps: (ms: number) => (ms > 10_000 && ms < 25_000 ? 400_000 : 4_000_000), queueMs: 400 };
  runOverLink(estimator, link, { seconds: 24, offeredBps: 2_000_000 });
  expect(estimator.bitrateBps).toBeLessThan(500_000);
  runOverLink(estimator, link, { seconds: 40, offeredBps: 2_000_000, startMs: 25_000 });
  expect(estimator.bitrateBps).toBeGreaterThan(1_500_000);
});

test('a fifth of all packets lost halves nothing at once, but takes the estimate down', () => {
  const estimator = newEstimator();
  const link = { bps: () => 50_000_000, queueMs: 500, loss: 0.2 };
  runOverLink(estimator, link, { seconds: 10, offeredBps: 5_000_000 });
  expect(estimator.bitrateBps).toBeLessThan(900_000);
});
