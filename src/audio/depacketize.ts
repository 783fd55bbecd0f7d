import type { RtpPacket } from '../rtp/index.js';
import type { Stage } from './chain.js';
import type { MediaPacket } from './jitter-buffer.js';
import { maxDtxBytes, opusPacketSamples } from './opus-packet.js';
import { parseRed } from './red.js';

/** What a payload type carries; packets of any other are counted and dropped. */
export type AudioPayload = 'opus' | 'red';

/** Turns an RTP packet into the coded frames that it holds: one of its own, and with RED copies of older ones. */
export function depacketize(
  payloadTypes: () => ReadonlyMap<number, AudioPayload>,
  onUnusable: () => void,
): Stage<RtpPacket, MediaPacket> {
  return (rtp, next) => {
    const types = payloadTypes();
    if (types.get(rtp.payloadType) !== 'red') {
      const frame = mediaPacket(rtp, rtp.payload, 0, 0);
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
      if (types.get(payloadType) !== 'opus') return;
      const frame = mediaPacket(rtp, payload, blocks.length - 1 - i, timestampOffset);
      if (frame) next(frame);
    });
  };
}

/** @param packetsBack how many packets earlier the frame was sent first; 0 is the packet's own */
function mediaPacket(
  rtp: RtpPacket,
  payload: Buffer,
  packetsBack: number,
  timestampOffset: number,
): MediaPacket | undefined {
  const samples = opusPacketSamples(payload);
  if (samples === 0) return undefined;
  return {
    sequenceNumber: (rtp.sequenceNumber - packetsBack) & 0xffff,
    timestamp: (rtp.timestamp - timestampOffset) >>> 0,
    payload,
    samples,
    redundant: packetsBack > 0,
    dtx: payload.length <= maxDtxBytes,
  };
}
