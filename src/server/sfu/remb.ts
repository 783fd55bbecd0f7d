/**
 * Receiver estimated maximum bitrate (draft-alvestrand-rmcat-remb-03): tells a sender how much it may send over all
 * of `mediaSsrcs`.
 */
export function buildRemb(senderSsrc: number, bitrateBps: number, mediaSsrcs: readonly number[]): Buffer {
  const packet = Buffer.alloc(20 + mediaSsrcs.length * 4);
  packet[0] = 0x80 | 15;
  packet[1] = 206;
  packet.writeUInt16BE(packet.length / 4 - 1, 2);
  packet.writeUInt32BE(senderSsrc, 4);
  packet.write('REMB', 12, 'latin1');
  const exponent = Math.max(0, Math.ceil(Math.log2(bitrateBps / 2 ** 18)));
  const mantissa = Math.floor(bitrateBps / 2 ** exponent);
  packet.writeUInt32BE(((mediaSsrcs.length << 24) | (exponent << 18) | mantissa) >>> 0, 16);
  mediaSsrcs.forEach((ssrc, i) => {
    packet.writeUInt32BE(ssrc, 20 + i * 4);
  });
  return packet;
}
