import { OffhookError } from '../../errors/index.js';

/** Where a packet is in its frame. */
export type FramePosition = 'start' | 'middle' | 'final' | 'single';

/** What opens an encrypted payload. */
export interface TrackPacketEncryption {
  /** One byte. */
  keyIndex: number;
  /** 12 bytes. */
  iv: Uint8Array;
}

/**
 * A packet of a data track, of LiveKit's version 0: 12 bytes of header (version and flags, handle, sequence number, frame
 * number, timestamp), extensions, payload. `payload` and `iv` are views of the packet that was read.
 */
export interface TrackPacket {
  position: FramePosition;
  /** The track: as the publisher numbers it on the way to the server, as the server does on the way to a subscriber. */
  handle: number;
  /** 16 bits, one more for each packet of the track. */
  sequence: number;
  /** 16 bits, one more for each frame. */
  frameNumber: number;
  /** 32 bits, 90 000 a second. */
  timestamp: number;
  encryption: TrackPacketEncryption | undefined;
  /** 64 bits of the program's own. */
  userTimestamp: bigint | undefined;
  payload: Uint8Array;
}

const headerBytes = 12;
const version = 0;
const startFlag = 0x10;
const finalFlag = 0x08;
const extensionsFlag = 0x04;
const handleAt = 2;
/** Extensions: their words beyond the first (16 bits), then for each its tag, its length and its value. */
const wordCountBytes = 2;
const wordBytes = 4;
const tagAndLengthBytes = 2;
const tags = { padding: 0, encryption: 1, userTimestamp: 2 } as const;
const ivBytes = 12;
const encryptionBytes = 1 + ivBytes;
const userTimestampBytes = 8;
const lastHandle = 0xffff;

const flagsOf: Record<FramePosition, number> = {
  start: startFlag,
  middle: 0,
  final: finalFlag,
  single: startFlag | finalFlag,
};

function positionOf(flags: number): FramePosition {
  if ((flags & startFlag) !== 0) return (flags & finalFlag) !== 0 ? 'single' : 'start';
  return (flags & finalFlag) !== 0 ? 'final' : 'middle';
}

/** Whether a number names a track: 0 does not. */
export function isTrackHandle(handle: number): boolean {
  return handle > 0 && handle <= lastHandle;
}

/** Bytes of a packet before its payload. */
export function trackHeaderBytes({
  encryption,
  userTimestamp,
}: Pick<TrackPacket, 'encryption' | 'userTimestamp'>): number {
  let extensions = 0;
  if (encryption) extensions += tagAndLengthBytes + encryptionBytes;
  if (userTimestamp !== undefined) extensions += tagAndLengthBytes + userTimestampBytes;
  if (extensions === 0) return headerBytes;
  return headerBytes + Math.ceil((wordCountBytes + extensions) / wordBytes) * wordBytes;
}

/** Once for each packet that is sent. */
export function writeTrackPacket(packet: TrackPacket): Buffer {
  const { encryption, userTimestamp, payload } = packet;
  const payloadAt = trackHeaderBytes(packet);
  const bytes = Buffer.alloc(payloadAt + payload.length);
  const hasExtensions = payloadAt > headerBytes;
  bytes[0] = (version << 5) | flagsOf[packet.position] | (hasExtensions ? extensionsFlag : 0);
  bytes.writeUInt16BE(packet.handle, handleAt);
  bytes.writeUInt16BE(packet.sequence, 4);
  bytes.writeUInt16BE(packet.frameNumber, 6);
  bytes.writeUInt32BE(packet.timestamp, 8);
  if (hasExtensions) {
    bytes.writeUInt16BE((payloadAt - headerBytes) / wordBytes - 1, headerBytes);
    let at = headerBytes + wordCountBytes;
    if (encryption) {
      bytes[at++] = tags.encryption;
      bytes[at++] = encryptionBytes;
      bytes[at++] = encryption.keyIndex;
      bytes.set(encryption.iv, at);
      at += ivBytes;
    }
    if (userTimestamp !== undefined) {
      bytes[at++] = tags.userTimestamp;
      bytes[at++] = userTimestampBytes;
      bytes.writeBigUInt64BE(userTimestamp, at);
    }
  }
  bytes.set(payload, payloadAt);
  return bytes;
}

/**
 * Once for each packet that is received.
 *
 * @throws OffhookError `OFFHOOK_PROTOCOL` for bytes that are no packet
 */
export function readTrackPacket(message: Uint8Array): TrackPacket {
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.length);
  const handle = readTrackHandle(bytes);
  if (handle === undefined) throw malformed('it has no header of this version');
  const flags = bytes[0]!;
  let payloadAt = headerBytes;
  let extensions: Pick<TrackPacket, 'encryption' | 'userTimestamp'> = noExtensions;
  if ((flags & extensionsFlag) !== 0) {
    if (bytes.length < headerBytes + wordCountBytes) throw malformed('it ends before its extensions');
    payloadAt = headerBytes + (bytes.readUInt16BE(headerBytes) + 1) * wordBytes;
    if (payloadAt > bytes.length) throw malformed('its extensions are longer than the packet');
    extensions = readExtensions(bytes.subarray(headerBytes + wordCountBytes, payloadAt));
  }
  return {
    position: positionOf(flags),
    handle,
    sequence: bytes.readUInt16BE(4),
    frameNumber: bytes.readUInt16BE(6),
    timestamp: bytes.readUInt32BE(8),
    ...extensions,
    payload: bytes.subarray(payloadAt),
  };
}

/** The handle alone, of a packet that is passed on; undefined for bytes that are no packet. */
export function readTrackHandle(bytes: Uint8Array): number | undefined {
  if (bytes.length < headerBytes || bytes[0]! >> 5 !== version) return undefined;
  const handle = (bytes[handleAt]! << 8) | bytes[handleAt + 1]!;
  return isTrackHandle(handle) ? handle : undefined;
}

/** Whether a packet begins a frame. */
export function startsFrame(bytes: Uint8Array): boolean {
  return (bytes[0]! & startFlag) !== 0;
}

/** A copy of a packet under the handle that a subscriber knows its track by. */
export function withTrackHandle(bytes: Uint8Array, handle: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt16BE(handle, handleAt);
  return copy;
}

const noExtensions = { encryption: undefined, userTimestamp: undefined };

/** Extensions of a later protocol, and known ones that are longer, are passed over as far as they are not known. */
function readExtensions(bytes: Buffer): Pick<TrackPacket, 'encryption' | 'userTimestamp'> {
  const extensions: Pick<TrackPacket, 'encryption' | 'userTimestamp'> = { ...noExtensions };
  for (let at = 0; at < bytes.length; ) {
    const tag = bytes[at++]!;
    if (tag === tags.padding) continue;
    const length = bytes[at++];
    if (length === undefined || at + length > bytes.length)
      throw malformed(`its extension ${tag} is cut off`);
    if (tag === tags.encryption && length >= encryptionBytes) {
      const iv = bytes.subarray(at + 1, at + encryptionBytes);
      extensions.encryption = { keyIndex: bytes[at]!, iv };
    } else if (tag === tags.userTimestamp && length >= userTimestampBytes) {
      extensions.userTimestamp = bytes.readBigUInt64BE(at);
    }
    at += length;
  }
  return extensions;
}

function malformed(why: string): OffhookError {
  return new OffhookError('OFFHOOK_PROTOCOL', `a data track packet cannot be parsed: ${why}`);
}
