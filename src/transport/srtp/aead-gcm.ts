import {
  type CipherGCM,
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  type DecipherGCM,
  type KeyObject,
} from 'node:crypto';
import type { SessionKeys } from './key-derivation.js';
import { rtcpHeaderBytes, uint32At } from './packet-layout.js';
import { encryptedBit, type SrtpTransform } from './transform.js';

const tagBytes = 16;
const indexBytes = 4;
const options = { authTagLength: tagBytes } as const;

/** AEAD_AES_128_GCM (RFC 7714). A packet needs a cipher object of its own: node:crypto cannot reset one. */
export class AeadGcm implements SrtpTransform {
  readonly #rtpKey: KeyObject;
  readonly #rtpSalt: Buffer;
  readonly #rtcpKey: KeyObject;
  readonly #rtcpSalt: Buffer;
  /** Reused for each packet: OpenSSL copies it when the cipher object is made. */
  readonly #iv = Buffer.alloc(12);
  readonly #indexWord = Buffer.alloc(indexBytes);

  constructor({ rtp, rtcp }: SessionKeys) {
    this.#rtpKey = createSecretKey(rtp.encryption);
    this.#rtpSalt = rtp.salt;
    this.#rtcpKey = createSecretKey(rtcp.encryption);
    this.#rtcpSalt = rtcp.salt;
  }

  protectRtp(packet: Buffer, headerBytes: number, ssrc: number, index: number): Buffer {
    this.#setRtpIv(ssrc, index);
    const cipher = createCipheriv('aes-128-gcm', this.#rtpKey, this.#iv, options);
    const output = Buffer.allocUnsafe(packet.length + tagBytes);
    packet.copy(output, 0, 0, headerBytes);
    cipher.setAAD(output.subarray(0, headerBytes));
    this.#seal(cipher, packet.subarray(headerBytes), output, headerBytes);
    return output;
  }

  unprotectRtp(packet: Buffer, headerBytes: number, ssrc: number, index: number): number {
    const end = packet.length - tagBytes;
    if (end < headerBytes) return -1;
    this.#setRtpIv(ssrc, index);
    const decipher = createDecipheriv('aes-128-gcm', this.#rtpKey, this.#iv, options);
    decipher.setAAD(packet.subarray(0, headerBytes));
    return this.#open(decipher, packet, headerBytes, end);
  }

  protectRtcp(packet: Buffer, ssrc: number, index: number): Buffer {
    const output = Buffer.allocUnsafe(packet.length + tagBytes + indexBytes);
    packet.copy(output, 0, 0, rtcpHeaderBytes);
    output.writeUInt32BE((encryptedBit | index) >>> 0, packet.length + tagBytes);
    this.#setRtcpIv(ssrc, index);
    const cipher = createCipheriv('aes-128-gcm', this.#rtcpKey, this.#iv, options);
    cipher.setAAD(
      Buffer.concat([output.subarray(0, rtcpHeaderBytes), output.subarray(packet.length + tagBytes)]),
    );
    this.#seal(cipher, packet.subarray(rtcpHeaderBytes), output, rtcpHeaderBytes);
    return output;
  }

  unprotectRtcp(packet: Buffer, ssrc: number, indexWord: number): number {
    const end = packet.length - tagBytes - indexBytes;
    this.#setRtcpIv(ssrc, indexWord & ~encryptedBit);
    this.#indexWord.writeUInt32BE(indexWord);
    const decipher = createDecipheriv('aes-128-gcm', this.#rtcpKey, this.#iv, options);
    // A packet that is not encrypted is authenticated as a whole (RFC 7714 section 9.3).
    const encryptedFrom = indexWord & encryptedBit ? rtcpHeaderBytes : end;
    decipher.setAAD(Buffer.concat([packet.subarray(0, encryptedFrom), this.#indexWord]));
    return this.#open(decipher, packet, encryptedFrom, end);
  }

  rtcpIndexWord(packet: Buffer): number | undefined {
    if (packet.length < rtcpHeaderBytes + tagBytes + indexBytes) return undefined;
    return uint32At(packet, packet.length - indexBytes);
  }

  #seal(cipher: CipherGCM, plaintext: Buffer, output: Buffer, offset: number): void {
    output.set(cipher.update(plaintext), offset);
    cipher.final();
    output.set(cipher.getAuthTag(), offset + plaintext.length);
  }

  #open(decipher: DecipherGCM, packet: Buffer, start: number, end: number): number {
    decipher.setAuthTag(packet.subarray(end, end + tagBytes));
    const plaintext = decipher.update(packet.subarray(start, end));
    try {
      decipher.final();
    } catch {
      return -1;
    }
    packet.set(plaintext, start);
    return end;
  }

  /** RFC 7714 section 8.1: two zero bytes, SSRC, roll-over counter, sequence number; added to the salt. */
  #setRtpIv(ssrc: number, index: number): void {
    const iv = this.#iv;
    const salt = this.#rtpSalt;
    const rollOver = Math.floor(index / 0x10000);
    iv[0] = salt[0]!;
    iv[1] = salt[1]!;
    iv[2] = salt[2]! ^ (ssrc >>> 24);
    iv[3] = salt[3]! ^ (ssrc >>> 16);
    iv[4] = salt[4]! ^ (ssrc >>> 8);
    iv[5] = salt[5]! ^ ssrc;
    iv[6] = salt[6]! ^ (rollOver >>> 24);
    iv[7] = salt[7]! ^ (rollOver >>> 16);
    iv[8] = salt[8]! ^ (rollOver >>> 8);
    iv[9] = salt[9]! ^ rollOver;
    iv[10] = salt[10]! ^ (index >>> 8);
    iv[11] = salt[11]! ^ index;
  }

  /** RFC 7714 section 9.1: two zero bytes, SSRC, two zero bytes, index; added to the salt. */
  #setRtcpIv(ssrc: number, index: number): void {
    const iv = this.#iv;
    const salt = this.#rtcpSalt;
    for (let i = 0; i < 12; i++) iv[i] = salt[i]!;
    for (let i = 0; i < 4; i++) {
      iv[2 + i]! ^= ssrc >>> (24 - 8 * i);
      iv[8 + i]! ^= index >>> (24 - 8 * i);
    }
  }
}
