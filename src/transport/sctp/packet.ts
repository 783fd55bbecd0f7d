import { packetChecksum } from './crc32c.js';

/** Chunk types (RFC 9260 section 3.2, RFC 3758, RFC 6525). */
export const chunkType = {
  data: 0,
  init: 1,
  initAck: 2,
  sack: 3,
  heartbeat: 4,
  heartbeatAck: 5,
  abort: 6,
  shutdown: 7,
  shutdownAck: 8,
  error: 9,
  cookieEcho: 10,
  cookieAck: 11,
  shutdownComplete: 14,
  reconfig: 130,
  forwardTsn: 192,
} as const;

/** Flags of a DATA chunk: last fragment, first fragment, unordered, acknowledge at once (RFC 7053). */
export const dataFlag = { end: 1, begin: 2, unordered: 4, immediate: 8 } as const;

/** In ABORT and SHUTDOWN COMPLETE: the verification tag is the sender's own, reflected. */
export const reflectedTagFlag = 1;

export const packetHeaderBytes = 12;
export const chunkHeaderBytes = 4;
export const dataHeaderBytes = 16;

/**
 * One packet being filled with chunks, in memory that is used for every packet: what `finish` returns is valid until
 * the next `begin`.
 */
export class PacketWriter {
  readonly #buffer: Buffer;
  #length = 0;

  constructor(maxPacketBytes: number) {
    this.#buffer = Buffer.alloc(maxPacketBytes);
  }

  begin(localPort: number, remotePort: number, verificationTag: number): void {
    this.#buffer.writeUInt16BE(localPort, 0);
    this.#buffer.writeUInt16BE(remotePort, 2);
    this.#buffer.writeUInt32BE(verificationTag, 4);
    this.#length = packetHeaderBytes;
  }

  /** Bytes that chunks can still take, headers included. */
  get roomBytes(): number {
    return this.#buffer.length - this.#length;
  }

  get isEmpty(): boolean {
    return this.#length <= packetHeaderBytes;
  }

  /** Adds a chunk and returns where its body begins in `buffer`. The caller has looked at `roomBytes`. */
  add(type: number, flags: number, bodyBytes: number): number {
    const buffer = this.#buffer;
    const start = this.#length;
    const length = chunkHeaderBytes + bodyBytes;
    buffer[start] = type;
    buffer[start + 1] = flags;
    buffer[start + 2] = length >>> 8;
    buffer[start + 3] = length;
    let end = start + length;
    while (end & 3) buffer[end++] = 0;
    this.#length = end;
    return start + chunkHeaderBytes;
  }

  get buffer(): Buffer {
    return this.#buffer;
  }

  finish(withChecksum: boolean): Buffer {
    const packet = this.#buffer.subarray(0, this.#length);
    packet[8] = packet[9] = packet[10] = packet[11] = 0;
    if (withChecksum) packet.writeUInt32LE(packetChecksum(packet), 8);
    this.#length = 0;
    return packet;
  }
}

/** A complete chunk without padding. */
export function chunk(type: number, flags: number, ...body: Uint8Array[]): Buffer {
  let length = chunkHeaderBytes;
  for (const part of body) length += part.length;
  return Buffer.concat([Buffer.of(type, flags, length >>> 8, length & 0xff), ...body]);
}

/** A parameter or an error cause: type, length, value, and padding unless it is the last. */
export function parameter(type: number, value: Uint8Array): Buffer {
  const length = 4 + value.length;
  const bytes = Buffer.alloc((length + 3) & ~3);
  bytes.writeUInt16BE(type, 0);
  bytes.writeUInt16BE(length, 2);
  bytes.set(value, 4);
  return bytes;
}

/**
 * Calls `visit` for each parameter or cause in `bytes` until it returns false. Returns false when a length is wrong;
 * what was visited before stands.
 */
export function readParameters(
  bytes: Buffer,
  visit: (type: number, value: Buffer, whole: Buffer) => boolean,
): boolean {
  let at = 0;
  while (at + 4 <= bytes.length) {
    const length = bytes.readUInt16BE(at + 2);
    if (length < 4 || at + length > bytes.length) return false;
    const whole = bytes.subarray(at, at + length);
    if (!visit(bytes.readUInt16BE(at), whole.subarray(4), whole)) return true;
    at += (length + 3) & ~3;
  }
  return true;
}
