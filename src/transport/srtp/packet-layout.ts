/** Bytes that no RTCP packet does without: version, count, type, length and the sender's SSRC (RFC 3550 section 6.4). */
export const rtcpHeaderBytes = 8;

/**
 * Bytes of an RTP header with its contributing sources and its extension (RFC 3550 section 5.1), or -1 when `packet`
 * does not hold such a header. `endBytes` is where the payload ends at the latest.
 */
export function rtpHeaderBytes(packet: Buffer, endBytes: number): number {
  if (endBytes < 12) return -1;
  const first = packet[0]!;
  if (first >> 6 !== 2) return -1;
  let length = 12 + 4 * (first & 0x0f);
  if (first & 0x10) {
    if (endBytes < length + 4) return -1;
    length += 4 + 4 * ((packet[length + 2]! << 8) | packet[length + 3]!);
  }
  return length <= endBytes ? length : -1;
}

/** The four bytes at `offset` as an unsigned number; cheaper than `readUInt32BE` because it checks no bounds. */
export function uint32At(packet: Buffer, offset: number): number {
  return (
    ((packet[offset]! << 24) |
      (packet[offset + 1]! << 16) |
      (packet[offset + 2]! << 8) |
      packet[offset + 3]!) >>>
    0
  );
}
