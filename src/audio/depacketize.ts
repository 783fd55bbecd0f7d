import type { RtpPacket } from '../rtp/index.js';
import type { AudioCodec } from './audio-codec.js';
import type { Stage } from './chain.js';
import type { MediaPacket } from './jitter-buffer.js';
import { parseRed } from './red.js';

/** What a payload type carries; packets of any other are counted and dropped. */
export type AudioPayload = AudioCodec['name'] | 'red';

/** Turns an RTP packet into the coded frames that it holds: one of its own, and with RED copies of older ones. */
export function depacketize(
  codec: AudioCodec,
  payloadTypes: () => ReadonlyMap<number, AudioPayload>,
  onUnusable: () => void,
): Stage<RtpPacket, MediaPacket> {
  return (rtp, next) => {
    const types = payloadTypes();
    if (types.get(rtp.payloadType) !== 'red') {
      const frame = mediaPacket(codec, rtp, rtp.payload, 0, 0);
      if (frame) next(frame);
      else onUnusable();
      return;
    }
    const blocks = parseRed(rtp.payload);
    if (!blocks) {
      onUnusable();
      return;
    }
    blocks.forEach(({ payloadType, timestampOffset, payload }, i) => {
      if (types.get(payloadType) !== codec.name) return;
      const frame = mediaPacket(codec, rtp, payload, blocks.length - 1 - i, timestampOffset);
      if (frame) next(frame);
    });
  };
}

/** @param packetsBack how many packets earlier the frame was sent first; 0 is the packet's own */
function mediaPacket(
  codec: AudioCodec,
  rtp: RtpPacket,
  payload: Buffer,
  packetsBack: number,
  timestampOffset: number,
): MediaPacket | undefined {
  const samples = codec.packetSamples(payload);
  if (samples === 0) return undefined;
  return {
    sequenceNumber: (rtp.sequenceNumber - packetsBack) & 0xffff,
    timestamp: (rtp.timestamp - timestampOffset) >>> 0,
    payload,
    samples,
    redundant: packetsBack > 0,
    dtx: payload.length <= codec.dtxBytes,
  };
}
