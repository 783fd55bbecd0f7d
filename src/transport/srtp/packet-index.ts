/**
 * The index of an RTP packet, 65536 times the roll-over counter plus the sequence number, estimated from the highest
 * index so far (RFC 3711 section 3.3.1 and appendix A): the one closest to it. Never below 0: a stream whose counter is
 * still 0 has wrapped around never.
 */
export function estimateIndex(highest: number, sequenceNumber: number): number {
  const rollOver = Math.floor(highest / 0x10000);
  const difference = sequenceNumber - (highest % 0x10000);
  if (difference > 0x8000 && rollOver > 0) return (rollOver - 1) * 0x10000 + sequenceNumber;
  if (difference < -0x8000) return (rollOver + 1) * 0x10000 + sequenceNumber;
  return rollOver * 0x10000 + sequenceNumber;
}
