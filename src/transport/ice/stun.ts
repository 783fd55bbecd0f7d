import { createHmac, timingSafeEqual } from 'node:crypto';
import { isIPv4 } from 'node:net';

/** A STUN message (RFC 8489, section 5); TURN adds methods and attributes (RFC 8656). */
export interface StunMessage {
  class: StunClass;
  method: number;
  /** 12 bytes. */
  transactionId: Buffer;
  /** In order, without MESSAGE-INTEGRITY and FINGERPRINT. */
  attributes: StunAttribute[];
}

export interface StunAttribute {
  type: number;
  value: Buffer;
}

export interface TransportAddress {
  address: string;
  port: number;
}

export type StunClass = 'request' | 'indication' | 'success' | 'error';

export const stunMethod = {
  binding: 0x001,
  allocate: 0x003,
  refresh: 0x004,
  channelBind: 0x009,
} as const;

export const stunAttribute = {
  username: 0x0006,
  messageIntegrity: 0x0008,
  errorCode: 0x0009,
  channelNumber: 0x000c,
  lifetime: 0x000d,
  xorPeerAddress: 0x0012,
  realm: 0x0014,
  nonce: 0x0015,
  xorRelayedAddress: 0x0016,
  requestedTransport: 0x0019,
  xorMappedAddress: 0x0020,
  priority: 0x0024,
  useCandidate: 0x0025,
  fingerprint: 0x8028,
  iceControlled: 0x8029,
  iceControlling: 0x802a,
} as const;

const headerBytes = 20;
/** RFC 8489, section 14.3. */
const maxUsernameBytes = 513;
const integrityBytes = 20;
const magicCookie = 0x2112a442;
const fingerprintXor = 0x5354554e;
const classes: readonly StunClass[] = ['request', 'indication', 'success', 'error'];

const crcPolynomial = 0xedb88320;

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ crcPolynomial : value >>> 1;
  return value;
});

/** CRC-32 as Ethernet and STUN's FINGERPRINT have it. Node's own came with 20.15. */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = crcTable[(crc ^ bytes[i]!) & 0xff]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** Tells STUN from DTLS, RTP and channel data on a shared port (RFC 7983). */
export function isStun(packet: Buffer): boolean {
  return packet.length >= headerBytes && packet[0]! < 4 && packet.readUInt32BE(4) === magicCookie;
}

/** Parses a message, or returns undefined when it is not one or its attributes are cut short. */
export function parseStun(packet: Buffer): StunMessage | undefined {
  if (!isStun(packet)) return undefined;
  const end = headerBytes + packet.readUInt16BE(2);
  if (end > packet.length) return undefined;
  const attributes: StunAttribute[] = [];
  for (let at = headerBytes; at < end; ) {
    if (at + 4 > end) return undefined;
    const type = packet.readUInt16BE(at);
    const bytes = packet.readUInt16BE(at + 2);
    if (at + 4 + bytes > end) return undefined;
    // What follows the integrity is not covered by it, and is ignored.
    if (type === stunAttribute.messageIntegrity || type === stunAttribute.fingerprint) break;
    attributes.push({ type, value: packet.subarray(at + 4, at + 4 + bytes) });
    at += 4 + ((bytes + 3) & ~3);
  }
  const type = packet.readUInt16BE(0);
  return {
    class: classes[((type >> 7) & 2) | ((type >> 4) & 1)]!,
    method: (type & 0x000f) | ((type & 0x00e0) >> 1) | ((type & 0x3e00) >> 2),
    transactionId: packet.subarray(8, headerBytes),
    attributes,
  };
}

/** Writes a message, signed with `key` where there is one (RFC 8489, section 14.5), and with a fingerprint. */
export function serializeStun(message: StunMessage, key?: Buffer | string): Buffer {
  const { attributes, method, transactionId } = message;
  const parts: Buffer[] = [Buffer.alloc(headerBytes)];
  for (const attribute of attributes) parts.push(serializeAttribute(attribute));
  const packet = Buffer.concat([...parts, Buffer.alloc((key === undefined ? 0 : 4 + integrityBytes) + 8)]);
  const bits = classes.indexOf(message.class);
  const type =
    (method & 0x000f) |
    ((method & 0x0070) << 1) |
    ((method & 0x0f80) << 2) |
    ((bits & 2) << 7) |
    ((bits & 1) << 4);
  packet.writeUInt16BE(type, 0);
  packet.writeUInt32BE(magicCookie, 4);
  transactionId.copy(packet, 8);
  let at = packet.length - 8;
  if (key !== undefined) {
    at -= 4 + integrityBytes;
    packet.writeUInt16BE(stunAttribute.messageIntegrity, at);
    packet.writeUInt16BE(integrityBytes, at + 2);
    integrity(packet, at, key).copy(packet, at + 4);
    at += 4 + integrityBytes;
  }
  packet.writeUInt16BE(packet.length - headerBytes, 2);
  packet.writeUInt16BE(stunAttribute.fingerprint, at);
  packet.writeUInt16BE(4, at + 2);
  packet.writeUInt32BE((crc32(packet.subarray(0, at)) ^ fingerprintXor) >>> 0, at + 4);
  return packet;
}

/** Whether the message is signed with `key`. */
export function hasIntegrity(packet: Buffer, key: Buffer | string): boolean {
  for (let at = headerBytes; at + 4 <= packet.length; at += 4 + ((packet.readUInt16BE(at + 2) + 3) & ~3)) {
    if (packet.readUInt16BE(at) !== stunAttribute.messageIntegrity) continue;
    const signature = packet.subarray(at + 4, at + 4 + integrityBytes);
    return signature.length === integrityBytes && timingSafeEqual(signature, integrity(packet, at, key));
  }
  return false;
}

/** HMAC over what stands before the attribute at `at`, as if the message ended with it. */
function integrity(packet: Buffer, at: number, key: Buffer | string): Buffer {
  const covered = Buffer.from(packet.subarray(0, at));
  covered.writeUInt16BE(at + 4 + integrityBytes - headerBytes, 2);
  return createHmac('sha1', key).update(covered).digest();
}

function serializeAttribute({ type, value }: StunAttribute): Buffer {
  const attribute = Buffer.alloc(4 + ((value.length + 3) & ~3));
  attribute.writeUInt16BE(type, 0);
  attribute.writeUInt16BE(value.length, 2);
  value.copy(attribute, 4);
  return attribute;
}

export function attributeOf(message: StunMessage, type: number): Buffer | undefined {
  return message.attributes.find((attribute) => attribute.type === type)?.value;
}

/** The code of an ERROR-CODE attribute, e.g. 487; undefined without one. */
export function errorCodeOf(message: StunMessage): number | undefined {
  const value = attributeOf(message, stunAttribute.errorCode);
  return value && value.length >= 4 ? (value[2]! & 7) * 100 + value[3]! : undefined;
}

/** An address as the XOR-…-ADDRESS attributes hold it (RFC 8489, section 14.2). */
export function xorAddress({ address, port }: TransportAddress, transactionId: Buffer): Buffer {
  const v4 = isIPv4(address);
  const value = Buffer.alloc(v4 ? 8 : 20);
  value[1] = v4 ? 1 : 2;
  value.writeUInt16BE(port ^ (magicCookie >>> 16), 2);
  (v4 ? Buffer.from(address.split('.').map(Number)) : ipv6Bytes(address)).copy(value, 4);
  xorInto(value, transactionId);
  return value;
}

/** Reads such an address; undefined when it is malformed. */
export function parseXorAddress(value: Buffer, transactionId: Buffer): TransportAddress | undefined {
  const v4 = value[1] === 1;
  if (value.length !== (v4 ? 8 : 20)) return undefined;
  const plain = Buffer.from(value);
  xorInto(plain, transactionId);
  const port = value.readUInt16BE(2) ^ (magicCookie >>> 16);
  if (v4) return { address: plain.subarray(4).join('.'), port };
  const groups = Array.from({ length: 8 }, (_, i) => plain.readUInt16BE(4 + i * 2).toString(16));
  return { address: groups.join(':'), port };
}

function xorInto(value: Buffer, transactionId: Buffer): void {
  const mask = Buffer.alloc(16);
  mask.writeUInt32BE(magicCookie, 0);
  transactionId.copy(mask, 4);
  for (let i = 4; i < value.length; i++) value[i]! ^= mask[i - 4]!;
}

function ipv6Bytes(address: string): Buffer {
  const [front, back = []] = withoutDottedEnd(address.split('%')[0]!)
    .split('::')
    .map((part) => part.split(':').filter(Boolean));
  const zeros = new Array<string>(8 - front!.length - back.length).fill('0');
  const bytes = Buffer.alloc(16);
  const groups = [...front!, ...zeros, ...back];
  for (const [i, group] of groups.entries()) bytes.writeUInt16BE(Number.parseInt(group, 16), i * 2);
  return bytes;
}

/** `::ffff:1.2.3.4` as `::ffff:102:304`. */
function withoutDottedEnd(address: string): string {
  const dotted = /[^:]+\.[^:]+$/.exec(address)?.[0];
  if (!dotted) return address;
  const bytes = Buffer.from(dotted.split('.').map(Number));
  const groups = [bytes.readUInt16BE(0), bytes.readUInt16BE(2)].map((group) => group.toString(16));
  return address.slice(0, -dotted.length) + groups.join(':');
}

/**
 * Whom a message on a shared port is for, without a look at the rest of it: of a request the user name fragment of the one
 * who is asked, of a response the first four bytes of the transaction id, which its asker chose.
 */
export function stunTarget(packet: Buffer): string | number | undefined {
  if (packet[0]! & 1) return packet.readUInt32BE(8);
  for (let at = headerBytes; at + 4 <= packet.length; ) {
    const bytes = packet.readUInt16BE(at + 2);
    if (packet.readUInt16BE(at) === stunAttribute.username) {
      const name = packet.toString('latin1', at + 4, at + 4 + Math.min(bytes, maxUsernameBytes));
      const colon = name.indexOf(':');
      return colon < 0 ? undefined : name.slice(0, colon);
    }
    at += 4 + ((bytes + 3) & ~3);
  }
  return undefined;
}
