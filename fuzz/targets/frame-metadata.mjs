import { splitMetadata, withMetadata } from '../../dist/video/frame-metadata.js';
import { check } from '../engine/target.mjs';

const codecs = ['vp8', 'vp9', 'h264', 'av1'];
const metadata = { userTimestamp: 1_700_000_000_000_000n, frameId: 7, userData: Buffer.from('data') };
const av1Frame = Buffer.from(`0a0b${'00'.repeat(11)}3203${'11'.repeat(3)}`, 'hex');

export default {
  about: 'metadata of video frames (packet trailers), behind a frame and in an OBU of AV1',
  maxBytes: 1024,
  words: ['LKTS'],
  seeds: () => [
    Buffer.concat([Buffer.of(0), withMetadata(Buffer.alloc(20, 1), metadata, 'vp8')]),
    Buffer.concat([Buffer.of(3), withMetadata(av1Frame, metadata, 'av1')]),
  ],
  run(input) {
    const codec = codecs[(input[0] ?? 0) % codecs.length];
    const frame = input.subarray(1);
    const { data, metadata: read } = splitMetadata(frame, codec);
    check(data.length <= frame.length, 'a frame is not longer without its metadata');
    check(!read || data.length < frame.length, 'metadata that was read is taken off');
    check((read?.userData?.length ?? 0) <= 255, 'data is as long as a trailer at most');
    check(read?.frameId === undefined || read.frameId <= 0xffffffff, 'a number of a frame has 32 bits');
  },
};
