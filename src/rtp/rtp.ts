/** An RTP packet (RFC 3550, section 5.1). `payload` is a view of the packet it was parsed from. */
export interface RtpPacket {
  payloadType: number;
  marker: boolean;
  /** 16 bits. */
  sequenceNumber: number;
  /** 32 bits, in units of the codec's clock. */
  timestamp: number;
  ssrc: number;
  /** Header extensions (RFC 8285) by id. */
  extensions: ReadonlyMap<number, Buffer>;
  payload: Buffer;
}

export interface RtpHeader {
  payloadType: number;
  marker: boolean;
  sequenceNumber: number;
  timestamp: number;
  ssrc: number;
  /** Header extensions (RFC 8285): ids 1 to 255, at most 255 bytes each. With short ones alone their form is shorter. */
  extensions?: readonly { id: number; data: Uint8Array }[];
}

const fixedHeaderBytes = 12;
const oneByteProfile = 0xbede;
const twoByteProfileMask = 0xfff0;
const twoByteProfile = 0x1000;
/**
 * Where the value of the first header extension of a packet without CSRCs is: its number in the transport, of a packet
 * that has one.
 */
export function transportSequenceAt(packet: Buffer): number {
  return packet.readUInt16BE(fixedHeaderBytes) === oneByteProfile ? 17 : 18;
}
const noExtensions: ReadonlyMap<number, Buffer> = new Map();

/** Tells RTCP from RTP on a shared port (RFC 5761, section 4). */
export function isRtcp(packet: Uint8Array): boolean {
  const type = packet[1] ?? 0;
  return packet.length >= 8 && type >= 192 && type <= 223;
}

/** Parses a packet, or returns undefined when it is truncated or not RTP version 2. */
export function parseRtp(packet: Buffer): RtpPacket | undefined {
  if (packet.length < fixedHeaderBytes || packet[0]! >> 6 !== 2) return undefined;
  const csrcCount = packet[0]! & 0x0f;
  let offset = fixedHeaderBytes + csrcCount * 4;
  let end = packet.length;
  let extensions = noExtensions;
  if (packet[0]! & 0x10) {
    if (offset + 4 > end) return undefined;
    const profile = packet.readUInt16BE(offset);
    const bytes = packet.readUInt16BE(offset + 2) * 4;
    offset += 4;
    if (offset + bytes > end) return undefined;
    extensions = parseExtensions(profile, packet.subarray(offset, offset + bytes));
    offset += bytes;
  }
  if (packet[0]! & 0x20) {
    const padding = packet[end - 1]!;
    if (padding === 0) return undefined;
    end -= padding;
  }
  if (offset > end) return undefined;
  return {
    payloadType: packet[1]! & 0x7f,
    marker: (packet[1]! & 0x80) !== 0,
    sequenceNumber: packet.readUInt16BE(2),
    timestamp: packet.readUInt32BE(4),
    ssrc: packet.readUInt32BE(8),
    extensions,
    payload: packet.subarray(offset, end),
  };
}

function parseExtensions(profile: number, block: Buffer): ReadonlyMap<number, Buffer> {
  const oneByte = profile === oneByteProfile;
  if (!oneByte && (profile & twoByteProfileMask) !== twoByteProfile) return noExtensions;
  const extensions = new Map<number, Buffer>();
  let at = 0;
  while (at < block.length) {
    const first = block[at]!;
    if (first === 0) {
      at += 1;
      continue;
    }
    const id = oneByte ? first >> 4 : first;
    if (oneByte && id === 15) break;
    const bytes = oneByte ? (first & 0x0f) + 1 : (block[at + 1] ?? 0);
    at += oneByte ? 1 : 2;
    if (at + bytes > block.length) break;
    extensions.set(id, block.subarray(at, at + bytes));
    at += bytes;
  }
  return extensions;
}

/** Writes a packet. The result is a buffer of its own. */
export function serializeRtp(header: RtpHeader, payload: Uint8Array): Buffer {
  const extensions = header.extensions ?? [];
  const isOneByte = extensions.every(({ id, data }) => id <= 14 && data.length >= 1 && data.length <= 16);
  const prefixBytes = isOneByte ? 1 : 2;
  const extensionBytes = extensions.reduce((sum, { data }) => sum + prefixBytes + data.length, 0);
  const paddedBytes = (extensionBytes + 3) & ~3;
  const headerBytes = fixedHeaderBytes + (extensions.length > 0 ? 4 + paddedBytes : 0);
  const packet = Buffer.allocUnsafe(headerBytes + payload.length);
  packet[0] = 0x80 | (extensions.length > 0 ? 0x10 : 0);
  packet[1] = (header.marker ? 0x80 : 0) | header.payloadType;
  packet.writeUInt16BE(header.sequenceNumber, 2);
  packet.writeUInt32BE(header.timestamp, 4);
  packet.writeUInt32BE(header.ssrc, 8);
  if (extensions.length > 0) {
    packet.writeUInt16BE(isOneByte ? oneByteProfile : twoByteProfile, 12);
    packet.writeUInt16BE(paddedBytes / 4, 14);
    let at = 16;
    for (const { id, data } of extensions) {
      packet[at] = isOneByte ? (id << 4) | (data.length - 1) : id;
      if (!isOneByte) packet[at + 1] = data.length;
      packet.set(data, at + prefixBytes);
      at += prefixBytes + data.length;
    }
    packet.fill(0, at, headerBytes);
  }
  packet.set(payload, headerBytes);
  return packet;
}

/** Difference `a - b` of two 16-bit sequence numbers, between -32768 and 32767 (RFC 1982). */
export function sequenceDifference(a: number, b: number): number {
  return ((a - b) << 16) >> 16;
}
