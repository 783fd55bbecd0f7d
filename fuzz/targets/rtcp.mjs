import {
  buildNack,
  buildPli,
  buildReceiverReport,
  buildSenderReport,
  parseRtcp,
} from '../../dist/rtp/rtcp.js';
import { buildTransportFeedback } from '../../dist/rtp/transport-feedback.js';
import { check } from '../engine/target.mjs';

const block = {
  ssrc: 7,
  fractionLost: 0.25,
  cumulativeLost: -3,
  highestSequence: 70_000,
  jitter: 12,
  lastSenderReport: 1,
  delaySinceLastSenderReport: 2,
};

export default {
  about: 'compound RTCP packets',
  maxBytes: 1500,
  seeds: () => [
    buildSenderReport({
      ssrc: 1,
      cname: 'a@b',
      ntp: 2n ** 63n,
      rtpTimestamp: 960,
      packetCount: 3,
      octetCount: 300,
    }),
    buildReceiverReport(1, 'c', [block, block]),
    buildNack(1, 2, [5, 6, 8, 65_535]),
    buildPli(1, 2),
    buildTransportFeedback({
      senderSsrc: 1,
      mediaSsrc: 2,
      baseSequenceNumber: 65_530,
      feedbackCount: 3,
      arrivalsMs: [1_000, 1_001, undefined, 1_900, 1_890, ...new Array(9).fill(1_900), undefined, undefined],
    }),
    Buffer.from('82cb0003000000010000000200000003', 'hex'),
  ],
  run(input) {
    for (const packet of parseRtcp(input)) {
      // 17 numbers for each word of 4 bytes.
      if (packet.type === 'nack')
        check(packet.sequenceNumbers.length <= (input.length / 4) * 17, 'few numbers');
      if (packet.type === 'transportFeedback') {
        check(packet.arrivalsMs.length <= 4_096, 'few packets');
        check(
          packet.arrivalsMs.every((arrival) => arrival === undefined || Number.isFinite(arrival)),
          'arrivals are times',
        );
      }
      if ('reports' in packet) check(packet.reports.length <= 31, 'few reports');
      if (packet.type === 'bye') check(packet.ssrcs.length <= 31, 'few sources');
    }
  },
};
