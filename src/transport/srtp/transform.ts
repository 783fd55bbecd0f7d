/**
 * Encrypts and authenticates packets with the session keys of one direction. It knows a packet's layout, not its
 * history: roll-over counters and replays are the context's part.
 */
export interface SrtpTransform {
  /** The protected packet, in memory of its own. Runs once for each packet sent. */
  protectRtp(packet: Buffer, headerBytes: number, ssrc: number, index: number): Buffer;

  /**
   * Where the payload ends, when `packet` is authentic; it is then decrypted in place. -1 when it is not, and nothing
   * is written. Runs once for each packet received.
   */
  unprotectRtp(packet: Buffer, headerBytes: number, ssrc: number, index: number): number;

  protectRtcp(packet: Buffer, ssrc: number, index: number): Buffer;

  /** As `unprotectRtp`. `indexWord` holds the bit that tells encrypted packets, and the packet's index. */
  unprotectRtcp(packet: Buffer, ssrc: number, indexWord: number): number;

  /** The word with the encrypted bit and the index, of a packet that is long enough to have one; undefined otherwise. */
  rtcpIndexWord(packet: Buffer): number | undefined;
}

/** The bit of an SRTCP index word that says that the packet is encrypted (RFC 3711 section 3.4). */
export const encryptedBit = 0x80000000;
