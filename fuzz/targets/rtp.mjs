import { parseRtp, serializeRtp } from '../../dist/rtp/rtp.js';
import { check } from '../engine/target.mjs';

export default {
  about: 'RTP packets and their header extensions',
  maxBytes: 1500,
  seeds: () => [
    serializeRtp(
      { payloadType: 111, marker: true, sequenceNumber: 7, timestamp: 960, ssrc: 1, extensions: [] },
      Buffer.from('opus'),
    ),
    serializeRtp(
      {
        payloadType: 63,
        marker: false,
        sequenceNumber: 65_535,
        timestamp: 2 ** 32 - 1,
        ssrc: 2 ** 32 - 1,
        extensions: [
          { id: 1, data: Buffer.from([0x8a]) },
          { id: 4, data: Buffer.from('mid') },
        ],
      },
      Buffer.alloc(40, 0xfc),
    ),
    // Two-byte extensions, contributing sources, padding.
    Buffer.from(
      'b2ef000100000001000000020000000a0000000b10000002014101020041424300000000fcfffe000003',
      'hex',
    ),
  ],
  run(input) {
    const packet = parseRtp(input);
    if (!packet) return;
    check(packet.payload.length <= input.length, 'the payload lies in the packet');
    check(packet.extensions.size <= 255, 'extensions have ids of a byte');
    const { payloadType, marker, sequenceNumber, timestamp, ssrc, payload } = packet;
    const again = parseRtp(serializeRtp({ payloadType, marker, sequenceNumber, timestamp, ssrc }, payload));
    check(again?.payload.equals(payload), 'what was read can be written');
  },
};
