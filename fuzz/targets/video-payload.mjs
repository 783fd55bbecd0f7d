import { FrameBuffer } from '../../dist/video/frame-buffer.js';
import { av1 } from '../../dist/video/payload/av1.js';
import { h264 } from '../../dist/video/payload/h264.js';
import { vp8 } from '../../dist/video/payload/vp8.js';
import { vp9 } from '../../dist/video/payload/vp9.js';
import { check } from '../engine/target.mjs';

const formats = [vp8, vp9, h264, av1];
const maxPacketBytes = 200;

/** A stream of packets: the format, then for each its length, how far its number is from the last, its time and marker. */
function packetsOf(input) {
  const packets = [];
  let sequenceNumber = 0;
  for (let at = 1; at + 3 < input.length; ) {
    const length = Math.min(input[at] % maxPacketBytes, input.length - at - 3);
    sequenceNumber = (sequenceNumber + input.readInt8(at + 1)) & 0xffff;
    const timestamp = (input[at + 2] >> 1) * 3_000;
    const marker = (input[at + 2] & 1) === 1;
    packets.push({
      payloadType: 96,
      marker,
      sequenceNumber,
      timestamp,
      ssrc: 1,
      extensions: new Map(),
      payload: input.subarray(at + 3, at + 3 + length),
    });
    at += 3 + length;
  }
  return packets;
}

function seed(format, data) {
  const frame = { data, isKeyFrame: true, pictureId: 1 };
  const payloads = formats[format].packetize(frame, 100);
  const parts = payloads.map((payload, index) =>
    Buffer.concat([Buffer.from([payload.length, 1, index === payloads.length - 1 ? 1 : 0]), payload]),
  );
  return Buffer.concat([Buffer.from([format]), ...parts]);
}

export default {
  about: 'payloads of VP8, VP9, H.264 and AV1, and the frames that are put together of them',
  maxBytes: 3000,
  seeds: () => [
    seed(0, Buffer.alloc(250, 2)),
    seed(1, Buffer.alloc(250, 0x82)),
    seed(2, Buffer.from(`0000000167${'42'.repeat(10)}0000000165${'88'.repeat(200)}`, 'hex')),
    seed(3, Buffer.from(`0a0b${'00'.repeat(11)}32c801${'11'.repeat(200)}`, 'hex')),
  ],
  run(input) {
    const packets = packetsOf(input);
    const sent = packets.reduce((sum, { payload }) => sum + payload.length, 0);
    let frames = 0;
    let isFirst = true;
    const buffer = new FrameBuffer({
      format: formats[(input[0] ?? 0) % formats.length],
      onFrame(frame) {
        frames++;
        check(!isFirst || frame.isKeyFrame, 'the first frame is one that a decoder can begin with');
        check(frame.data.length <= 16 * (sent + packets.length), 'a frame has about what its packets had');
        isFirst = false;
      },
      onMissing: (numbers) => check(numbers.length <= 500, 'few packets are asked for at once'),
      onKeyFrameNeeded() {},
    });
    for (const [index, packet] of packets.entries()) buffer.insert(packet, index * 5, 20);
    for (let ms = 0; ms < 2_000; ms += 100) buffer.tick(packets.length * 5 + ms, 20);
    check(frames <= packets.length, 'a frame has a packet of its own');
  },
};
