import {
  parseTransportFeedback,
  type TransportFeedback,
  transportFeedbackFormat,
} from './transport-feedback.js';

/** A report block (RFC 3550, section 6.4.1). */
export interface ReportBlock {
  ssrc: number;
  /** Fraction of packets lost since the last report, 0 to 1. */
  fractionLost: number;
  cumulativeLost: number;
  highestSequence: number;
  /** Interarrival jitter in units of the codec's clock. */
  jitter: number;
  /** Middle 32 bits of the NTP time of the last sender report; 0 without one. */
  lastSenderReport: number;
  /** Since that report arrived, in units of 1/65536 s. */
  delaySinceLastSenderReport: number;
}

export type RtcpPacket =
  | {
      type: 'senderReport';
      ssrc: number;
      /** NTP time, 32.32 fixed point. */
      ntp: bigint;
      rtpTimestamp: number;
      packetCount: number;
      octetCount: number;
      reports: ReportBlock[];
    }
  | { type: 'receiverReport'; ssrc: number; reports: ReportBlock[] }
  | { type: 'bye'; ssrcs: number[] }
  /** Generic NACK (RFC 4585, section 6.2.1). */
  | { type: 'nack'; senderSsrc: number; mediaSsrc: number; sequenceNumbers: number[] }
  /** Picture loss indication (RFC 4585, section 6.3.1), or a full intra request (RFC 5104, section 4.3.1). */
  | { type: 'pli'; senderSsrc: number; mediaSsrc: number }
  | TransportFeedback;

const senderReportType = 200;
const receiverReportType = 201;
const sourceDescriptionType = 202;
const byeType = 203;
const transportFeedbackType = 205;
const payloadFeedbackType = 206;
const nackFormat = 1;
const pliFormat = 1;
const firFormat = 4;
const cnameItem = 1;
const reportBlockBytes = 24;
const ntpEpochOffsetSeconds = 2_208_988_800n;

/** Wall-clock milliseconds as a 32.32 fixed-point NTP time (RFC 3550, section 4). */
export function toNtp(wallClockMs: number): bigint {
  const whole = BigInt(Math.floor(wallClockMs / 1000));
  const fraction = BigInt(Math.floor(((wallClockMs % 1000) / 1000) * 2 ** 32));
  return ((whole + ntpEpochOffsetSeconds) << 32n) | fraction;
}

/** The wall-clock milliseconds of an NTP time. */
export function fromNtp(ntp: bigint): number {
  const seconds = Number((ntp >> 32n) - ntpEpochOffsetSeconds);
  return seconds * 1000 + (Number(ntp & 0xffffffffn) / 2 ** 32) * 1000;
}

/** The packets of a compound packet that the engine uses; what is unknown or truncated is passed over. */
export function parseRtcp(compound: Buffer): RtcpPacket[] {
  const packets: RtcpPacket[] = [];
  let at = 0;
  while (at + 4 <= compound.length && compound[at]! >> 6 === 2) {
    const bytes = (compound.readUInt16BE(at + 2) + 1) * 4;
    if (at + bytes > compound.length) break;
    const parsed = parseOne(compound.subarray(at, at + bytes));
    if (parsed) packets.push(parsed);
    at += bytes;
  }
  return packets;
}

function parseOne(packet: Buffer): RtcpPacket | undefined {
  const count = packet[0]! & 0x1f;
  switch (packet[1]) {
    case senderReportType:
      if (packet.length < 28) return undefined;
      return {
        type: 'senderReport',
        ssrc: packet.readUInt32BE(4),
        ntp: packet.readBigUInt64BE(8),
        rtpTimestamp: packet.readUInt32BE(16),
        packetCount: packet.readUInt32BE(20),
        octetCount: packet.readUInt32BE(24),
        reports: parseReports(packet, 28, count),
      };
    case receiverReportType:
      if (packet.length < 8) return undefined;
      return {
        type: 'receiverReport',
        ssrc: packet.readUInt32BE(4),
        reports: parseReports(packet, 8, count),
      };
    case byeType: {
      const ssrcs: number[] = [];
      for (let i = 0; i < count && 8 + i * 4 <= packet.length; i++)
        ssrcs.push(packet.readUInt32BE(4 + i * 4));
      return { type: 'bye', ssrcs };
    }
    case transportFeedbackType:
      if (count === transportFeedbackFormat) return parseTransportFeedback(packet);
      if (count !== nackFormat || packet.length < 12) return undefined;
      return {
        type: 'nack',
        senderSsrc: packet.readUInt32BE(4),
        mediaSsrc: packet.readUInt32BE(8),
        sequenceNumbers: parseNackItems(packet),
      };
    case payloadFeedbackType:
      if (count === firFormat && packet.length >= 20)
        return { type: 'pli', senderSsrc: packet.readUInt32BE(4), mediaSsrc: packet.readUInt32BE(12) };
      if (count !== pliFormat || packet.length < 12) return undefined;
      return { type: 'pli', senderSsrc: packet.readUInt32BE(4), mediaSsrc: packet.readUInt32BE(8) };
    default:
      return undefined;
  }
}

function parseNackItems(packet: Buffer): number[] {
  const sequenceNumbers: number[] = [];
  for (let at = 12; at + 4 <= packet.length; at += 4) {
    const first = packet.readUInt16BE(at);
    const following = packet.readUInt16BE(at + 2);
    sequenceNumbers.push(first);
    for (let bit = 0; bit < 16; bit++) {
      if (following & (1 << bit)) sequenceNumbers.push((first + bit + 1) & 0xffff);
    }
  }
  return sequenceNumbers;
}

function parseReports(packet: Buffer, from: number, count: number): ReportBlock[] {
  const reports: ReportBlock[] = [];
  for (let i = 0; i < count; i++) {
    const at = from + i * reportBlockBytes;
    if (at + reportBlockBytes > packet.length) break;
    reports.push({
      ssrc: packet.readUInt32BE(at),
      fractionLost: packet[at + 4]! / 256,
      cumulativeLost: packet.readIntBE(at + 5, 3),
      highestSequence: packet.readUInt32BE(at + 8),
      jitter: packet.readUInt32BE(at + 12),
      lastSenderReport: packet.readUInt32BE(at + 16),
      delaySinceLastSenderReport: packet.readUInt32BE(at + 20),
    });
  }
  return reports;
}

function header(type: number, count: number, bytes: number): Buffer {
  const packet = Buffer.alloc(bytes);
  packet[0] = 0x80 | count;
  packet[1] = type;
  packet.writeUInt16BE(bytes / 4 - 1, 2);
  return packet;
}

/** A sender report followed by the CNAME, as a compound packet must have (RFC 3550, section 6.1). */
export function buildSenderReport(report: {
  ssrc: number;
  cname: string;
  ntp: bigint;
  rtpTimestamp: number;
  packetCount: number;
  octetCount: number;
}): Buffer {
  const packet = header(senderReportType, 0, 28);
  packet.writeUInt32BE(report.ssrc, 4);
  packet.writeBigUInt64BE(report.ntp, 8);
  packet.writeUInt32BE(report.rtpTimestamp >>> 0, 16);
  packet.writeUInt32BE(report.packetCount >>> 0, 20);
  packet.writeUInt32BE(report.octetCount >>> 0, 24);
  return Buffer.concat([packet, buildSourceDescription(report.ssrc, report.cname)]);
}

/** A receiver report followed by the CNAME. */
export function buildReceiverReport(ssrc: number, cname: string, reports: readonly ReportBlock[]): Buffer {
  const packet = header(receiverReportType, reports.length, 8 + reports.length * reportBlockBytes);
  packet.writeUInt32BE(ssrc, 4);
  reports.forEach((report, i) => {
    const at = 8 + i * reportBlockBytes;
    packet.writeUInt32BE(report.ssrc, at);
    packet[at + 4] = Math.min(255, Math.floor(report.fractionLost * 256));
    packet.writeIntBE(Math.max(-0x800000, Math.min(0x7fffff, report.cumulativeLost)), at + 5, 3);
    packet.writeUInt32BE(report.highestSequence >>> 0, at + 8);
    packet.writeUInt32BE(report.jitter >>> 0, at + 12);
    packet.writeUInt32BE(report.lastSenderReport >>> 0, at + 16);
    packet.writeUInt32BE(report.delaySinceLastSenderReport >>> 0, at + 20);
  });
  return Buffer.concat([packet, buildSourceDescription(ssrc, cname)]);
}

function buildSourceDescription(ssrc: number, cname: string): Buffer {
  const name = Buffer.from(cname, 'utf8').subarray(0, 255);
  const chunkBytes = (4 + 2 + name.length + 1 + 3) & ~3;
  const packet = header(sourceDescriptionType, 1, 4 + chunkBytes);
  packet.writeUInt32BE(ssrc, 4);
  packet[8] = cnameItem;
  packet[9] = name.length;
  packet.set(name, 10);
  return packet;
}

/** Asks for packets again (RFC 4585). */
export function buildNack(senderSsrc: number, mediaSsrc: number, sequenceNumbers: readonly number[]): Buffer {
  const items: { first: number; following: number }[] = [];
  for (const sequenceNumber of sequenceNumbers) {
    const last = items.at(-1);
    const distance = last ? (sequenceNumber - last.first) & 0xffff : 0;
    if (last && distance >= 1 && distance <= 16) last.following |= 1 << (distance - 1);
    else items.push({ first: sequenceNumber, following: 0 });
  }
  const packet = header(transportFeedbackType, nackFormat, 12 + items.length * 4);
  packet.writeUInt32BE(senderSsrc, 4);
  packet.writeUInt32BE(mediaSsrc, 8);
  items.forEach(({ first, following }, i) => {
    packet.writeUInt16BE(first, 12 + i * 4);
    packet.writeUInt16BE(following, 14 + i * 4);
  });
  return packet;
}

/** Asks for a key frame (RFC 4585). */
export function buildPli(senderSsrc: number, mediaSsrc: number): Buffer {
  const packet = header(payloadFeedbackType, pliFormat, 12);
  packet.writeUInt32BE(senderSsrc, 4);
  packet.writeUInt32BE(mediaSsrc, 8);
  return packet;
}
