import { limits } from '../../limits.js';

/** Payload protocol identifiers of data channels (RFC 8831 section 8). */
export const payloadProtocol = {
  control: 50,
  text: 51,
  binary: 53,
  emptyText: 56,
  emptyBinary: 57,
} as const;

const messageType = { ack: 2, open: 3 } as const;
const openHeaderBytes = 12;
const maxTextBytes = limits.dataChannelLabel.value;
const unorderedBit = 0x80;
/** The low bits of the channel type (RFC 8832 section 5.1). */
const reliability = { reliable: 0, retransmits: 1, lifetime: 2 } as const;

/** What a channel is like, the same at both ends. */
export interface DataChannelParameters {
  label: string;
  protocol: string;
  ordered: boolean;
  /** At most one of the two is set. */
  maxRetransmits?: number | undefined;
  maxLifetimeMs?: number | undefined;
}

export type DcepMessage = { type: 'ack' } | { type: 'open'; parameters: DataChannelParameters };

export const dcepAck = Buffer.of(messageType.ack);

/** DATA_CHANNEL_OPEN (RFC 8832 section 5.1). */
export function encodeOpen(parameters: DataChannelParameters): Buffer {
  const { ordered, maxRetransmits, maxLifetimeMs } = parameters;
  const label = Buffer.from(parameters.label);
  const protocol = Buffer.from(parameters.protocol);
  const kind =
    maxRetransmits !== undefined
      ? reliability.retransmits
      : maxLifetimeMs !== undefined
        ? reliability.lifetime
        : reliability.reliable;
  const header = Buffer.alloc(openHeaderBytes);
  header[0] = messageType.open;
  header[1] = kind | (ordered ? 0 : unorderedBit);
  // Normal priority (RFC 8831 section 6.4).
  header.writeUInt16BE(256, 2);
  header.writeUInt32BE(maxRetransmits ?? maxLifetimeMs ?? 0, 4);
  header.writeUInt16BE(label.length, 8);
  header.writeUInt16BE(protocol.length, 10);
  return Buffer.concat([header, label, protocol]);
}

/** Reads a message of the protocol; undefined for anything else and for what is too long. */
export function decodeDcep(bytes: Buffer): DcepMessage | undefined {
  if (bytes[0] === messageType.ack) return { type: 'ack' };
  if (bytes[0] !== messageType.open || bytes.length < openHeaderBytes) return undefined;
  const labelBytes = bytes.readUInt16BE(8);
  const protocolBytes = bytes.readUInt16BE(10);
  if (labelBytes > maxTextBytes || protocolBytes > maxTextBytes) return undefined;
  if (bytes.length < openHeaderBytes + labelBytes + protocolBytes) return undefined;
  const kind = bytes[1]! & ~unorderedBit;
  const limit = bytes.readUInt32BE(4);
  if (kind !== reliability.reliable && kind !== reliability.retransmits && kind !== reliability.lifetime)
    return undefined;
  const labelEnd = openHeaderBytes + labelBytes;
  return {
    type: 'open',
    parameters: {
      label: bytes.toString('utf8', openHeaderBytes, labelEnd),
      protocol: bytes.toString('utf8', labelEnd, labelEnd + protocolBytes),
      ordered: (bytes[1]! & unorderedBit) === 0,
      maxRetransmits: kind === reliability.retransmits ? limit : undefined,
      maxLifetimeMs: kind === reliability.lifetime ? limit : undefined,
    },
  };
}
