import {
  readTrackHandle,
  readTrackPacket,
  startsFrame,
  TrackDepacketizer,
  TrackPacketizer,
  withTrackHandle,
} from '../../dist/data/index.js';
import { OffhookError } from '../../dist/errors/index.js';
import { check } from '../engine/target.mjs';

/** Packets, each behind its length (16 bits); the first byte of all says how many frames are put together at once. */
function packetsOf(input) {
  const packets = [];
  for (let at = 1; at + 2 <= input.length; ) {
    const length = input.readUInt16BE(at);
    packets.push(input.subarray(at + 2, at + 2 + length));
    at += 2 + length;
  }
  return packets;
}

function join(partialFrames, packets) {
  const parts = packets.map((packet) => {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(packet.length);
    return Buffer.concat([length, packet]);
  });
  return Buffer.concat([Buffer.of(partialFrames), ...parts]);
}

function seed(partialFrames, payload, more = {}) {
  const packetizer = new TrackPacketizer(1, { random: () => 0, nowMs: () => 0 });
  const frame = { payload, userTimestamp: undefined, encryption: undefined, ...more };
  const packets = packetizer.packetize(frame);
  // Of a long frame, less of each packet will do.
  return join(
    partialFrames,
    packets.map((packet) => packet.subarray(0, 64)),
  );
}

function read(packet) {
  try {
    return readTrackPacket(packet);
  } catch (error) {
    if (!(error instanceof OffhookError)) throw error;
    return undefined;
  }
}

export default {
  about: 'packets of data tracks, as a subscriber and as the room server read them',
  maxBytes: 4096,
  seeds: () => [
    seed(1, Buffer.from('single')),
    seed(1, Buffer.alloc(50_000, 3)),
    seed(3, Buffer.alloc(40_000, 4), { userTimestamp: 5n }),
    seed(1, Buffer.alloc(20), { userTimestamp: 5n, encryption: { keyIndex: 1, iv: Buffer.alloc(12, 6) } }),
  ],
  run(input) {
    const drops = [];
    const depacketizer = new TrackDepacketizer((reason) => drops.push(reason));
    depacketizer.maxPartialFrames = 1 + ((input[0] ?? 0) % 8);
    let sent = 0;
    let frames = 0;
    let received = 0;
    for (const bytes of packetsOf(input)) {
      const handle = readTrackHandle(bytes);
      const packet = read(bytes);
      check(handle !== undefined || packet === undefined, 'what is read has a handle');
      if (handle !== undefined) {
        const forwarded = withTrackHandle(bytes, 65_535);
        check(readTrackHandle(forwarded) === 65_535, 'a packet is forwarded under another handle');
        startsFrame(forwarded);
      }
      if (!packet) continue;
      sent += packet.payload.length;
      const frame = depacketizer.push(packet);
      if (!frame) continue;
      frames++;
      received += frame.payload.length;
      check(frame.encryption === undefined || frame.encryption.iv.length === 12, 'an IV has 12 bytes');
    }
    check(received <= sent, 'frames have no more than their packets had');
    check(frames + drops.length <= 2 * packetsOf(input).length, 'a packet ends few frames');
  },
};
