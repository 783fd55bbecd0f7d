import { LayerSelector } from '../../dist/server/sfu/layer-selector.js';
import { LayeredStream } from '../../dist/server/sfu/layered-stream.js';
import { check } from '../engine/target.mjs';

const maxPacketBytes = 120;
const targets = 32;

/** Packets: how long, how much later than the last, to which layers the subscriber goes; then a descriptor or a payload. */
function packetsOf(input) {
  const packets = [];
  let timestamp = 0;
  for (let at = 1; at + 3 < input.length; ) {
    const length = Math.min(input[at] % maxPacketBytes, input.length - at - 3);
    timestamp = (timestamp + input.readInt8(at + 1) * 1_000) >>> 0;
    packets.push({
      timestamp,
      target: input[at + 2] % targets,
      bytes: input.subarray(at + 3, at + 3 + length),
    });
    at += 3 + length;
  }
  return packets;
}

function seed(codec, hex) {
  const parts = hex.map((each) => {
    const bytes = Buffer.from(each, 'hex');
    return Buffer.concat([Buffer.of(bytes.length, 3, 31), bytes]);
  });
  return Buffer.concat([Buffer.of(codec), ...parts]);
}

export default {
  about:
    'streams of several layers, of VP9 and of AV1 with dependency descriptors, and what a subscriber gets of them',
  maxBytes: 2_000,
  seeds: () => [
    // Chromium, two spatial layers and three temporal ones (L2T3_KEY).
    seed(0, [
      '800001800514853aaaa8018004004002a02a0060010015d34514174d144c700874321651118543276809f8059813f80b38',
      '850002',
      'c30003',
      'c80004',
      'c20005',
      'c70006',
      'c40007',
    ]),
    seed(1, ['baed571030014000b40280aa', 'b9ed57138702aa', 'fded585002aa', 'fded585202aa', 'fded59300487aa']),
  ],
  run(input) {
    const codec = (input[0] ?? 0) % 2 === 0 ? 'av1' : 'vp9';
    const stream = new LayeredStream(1);
    const selector = new LayerSelector();
    let sent = 0;
    const packets = packetsOf(input);
    for (const [index, { timestamp, target, bytes }] of packets.entries()) {
      const packet = { ssrc: 1, timestamp, payload: codec === 'vp9' ? bytes : Buffer.of(0) };
      const read = stream.read(packet, codec, codec === 'av1' ? bytes : undefined, index * 20);
      if (!read) continue;
      const { frame, isEnd } = read;
      check((frame.startsFor & ~frame.neededBy) === 0, 'who can begin with a frame needs it');
      check(stream.spatialLayers <= 8, 'there are no more layers than a packet can name');
      check(stream.bitrateBps(target) >= 0, 'a rate is a number');
      selector.target = target;
      if (selector.select(frame, isEnd, packet)) sent++;
    }
    check(sent <= packets.length, 'no packet is sent twice');
  },
};
