import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from 'node:crypto';
import { CounterMode } from './counter-mode.js';
import type { SessionKeys } from './key-derivation.js';
import { rtcpHeaderBytes, uint32At } from './packet-layout.js';
import type { SrtpProfileParameters } from './profile.js';
import { encryptedBit, type SrtpTransform } from './transform.js';

const indexBytes = 4;
const rollOverBytes = 4;

/** AES in counter mode and HMAC-SHA1 with a tag of 80 or 32 bits (RFC 3711 section 4). */
export class CmHmac implements SrtpTransform {
  readonly #rtpTagBytes: number;
  readonly #rtcpTagBytes: number;
  readonly #rtpCipher: CounterMode;
  readonly #rtpAuthKey: KeyObject;
  readonly #rtcpCipher: CounterMode;
  readonly #rtcpAuthKey: KeyObject;
  /** Reused for each received packet: its tag, and the one that it should have. */
  readonly #received: Buffer;
  readonly #expected: Buffer;

  constructor({ rtp, rtcp }: SessionKeys, { rtpTagBytes, rtcpTagBytes }: SrtpProfileParameters) {
    this.#rtpTagBytes = rtpTagBytes;
    this.#rtcpTagBytes = rtcpTagBytes;
    this.#received = Buffer.alloc(rtpTagBytes);
    this.#expected = Buffer.alloc(rtpTagBytes);
    this.#rtpCipher = new CounterMode(rtp.encryption, rtp.salt);
    this.#rtpAuthKey = createSecretKey(rtp.authentication);
    this.#rtcpCipher = new CounterMode(rtcp.encryption, rtcp.salt);
    this.#rtcpAuthKey = createSecretKey(rtcp.authentication);
  }

  protectRtp(packet: Buffer, headerBytes: number, ssrc: number, index: number): Buffer {
    const end = packet.length;
    const output = Buffer.allocUnsafe(end + this.#rtpTagBytes);
    packet.copy(output, 0, 0, headerBytes);
    this.#rtpCipher.apply(packet, output, headerBytes, end, ssrc, index);
    output.write(this.#rtpTag(output, end, index), end, this.#rtpTagBytes, 'latin1');
    return output;
  }

  unprotectRtp(packet: Buffer, headerBytes: number, ssrc: number, index: number): number {
    const end = packet.length - this.#rtpTagBytes;
    if (end < headerBytes) return -1;
    packet.copy(this.#received, 0, end);
    this.#expected.write(this.#rtpTag(packet, end, index), 0, this.#rtpTagBytes, 'latin1');
    if (!timingSafeEqual(this.#expected, this.#received)) {
      this.#received.copy(packet, end);
      return -1;
    }
    this.#rtpCipher.apply(packet, packet, headerBytes, end, ssrc, index);
    return end;
  }

  protectRtcp(packet: Buffer, ssrc: number, index: number): Buffer {
    const end = packet.length + indexBytes;
    const output = Buffer.allocUnsafe(end + this.#rtcpTagBytes);
    packet.copy(output, 0, 0, rtcpHeaderBytes);
    this.#rtcpCipher.apply(packet, output, rtcpHeaderBytes, packet.length, ssrc, index);
    output.writeUInt32BE((encryptedBit | index) >>> 0, packet.length);
    output.set(this.#rtcpTag(output.subarray(0, end)), end);
    return output;
  }

  unprotectRtcp(packet: Buffer, ssrc: number, indexWord: number): number {
    const end = packet.length - this.#rtcpTagBytes;
    if (!timingSafeEqual(this.#rtcpTag(packet.subarray(0, end)), packet.subarray(end))) return -1;
    const payloadEnd = end - indexBytes;
    if (indexWord & encryptedBit)
      this.#rtcpCipher.apply(packet, packet, rtcpHeaderBytes, payloadEnd, ssrc, indexWord & ~encryptedBit);
    return payloadEnd;
  }

  rtcpIndexWord(packet: Buffer): number | undefined {
    const trailerBytes = indexBytes + this.#rtcpTagBytes;
    if (packet.length < rtcpHeaderBytes + trailerBytes) return undefined;
    return uint32At(packet, packet.length - trailerBytes);
  }

  /**
   * The tag of the first `end` bytes. The roll-over counter is authenticated behind them, and not sent: it stands for a
   * moment where the tag belongs. Runs once for every packet; a digest as text costs a third of one in a buffer.
   */
  #rtpTag(packet: Buffer, end: number, index: number): string {
    packet.writeUInt32BE(Math.floor(index / 0x10000), end);
    const authenticated = packet.subarray(0, end + rollOverBytes);
    return createHmac('sha1', this.#rtpAuthKey).update(authenticated).digest('binary');
  }

  #rtcpTag(authenticated: Buffer): Buffer {
    return createHmac('sha1', this.#rtcpAuthKey)
      .update(authenticated)
      .digest()
      .subarray(0, this.#rtcpTagBytes);
  }
}
