import { PacketHistory } from './packet-history.js';
import { buildSenderReport, parseRtcp, type ReportBlock, toNtp } from './rtcp.js';
import { serializeRtp } from './rtp.js';

/** A header extension of one packet. */
export interface HeaderExtension {
  id: number;
  data: Uint8Array;
}

export interface RtpSenderOptions {
  ssrc: number;
  payloadType: number;
  /** Of timestamps, in Hz. */
  clockRate: number;
  /** Takes RTP packets for the first time, and RTCP packets. */
  send: (packet: Buffer) => void;
  /** Takes packets that were sent before, as they were; `send` by default. */
  sendAgain?: (packet: Buffer) => void;
  /** Milliseconds since 1970. */
  wallClockMs: () => number;
  cname: string;
  midExtension?: { id: number; mid: string };
  /** Of a simulcast layer: its name, in the extension that says so of the stream, and of its retransmissions (RFC 8852). */
  ridExtension?: { id: number; repairedId: number | undefined; rid: string };
  /**
   * The extension with the number of a packet in its transport, which `send` writes at `transportSequenceAt`; but not
   * into a packet that it is given again.
   */
  transportSequenceId?: number | undefined;
  random: () => number;
  /** Where packets are sent again (RFC 4588); without it, as they were. */
  repair?: { ssrc: number; payloadType: number };
  /** Packets kept for those who ask for them again; default 128. */
  historyPackets?: number;
}

export interface RtpSenderStats {
  ssrc: number;
  payloadType: number;
  packetsSent: number;
  /** Of payload, without headers. */
  bytesSent: number;
  headerBytesSent: number;
  retransmittedPackets: number;
  /** Of payload, as `bytesSent`. */
  retransmittedBytes: number;
  /** Of the stream of retransmissions, where there is one. */
  repairSsrc: number | undefined;
  nackCount: number;
  /** What the other side last reported; undefined before. */
  remote: RemoteReception | undefined;
}

export interface RemoteReception {
  fractionLost: number;
  packetsLost: number;
  jitterMs: number;
  roundTripMs: number | undefined;
  /** Sum of the round trips that were measured, and how many. */
  totalRoundTripMs: number;
  roundTripCount: number;
  /** When the report came, since 1970. */
  reportedAtMs: number;
}

const reportIntervalMs = 5_000;
/** As long as padding can be: its last byte is its length (RFC 3550, section 5.1). */
const padding = new Uint8Array(255).fill(255, 254);
/** Of a packet without CSRCs. */
const firstExtensionAt = 16;

/** One outgoing RTP stream: numbers packets, answers NACKs, exchanges reports. */
export class RtpSender {
  readonly stats: RtpSenderStats;
  #options: RtpSenderOptions;
  #sequenceNumber: number;
  #history: PacketHistory;
  #repairSequenceNumber: number;
  /** Those of every packet. */
  #fixed: HeaderExtension[] = [];
  #nextReportMs = 0;

  constructor(options: RtpSenderOptions) {
    const { ssrc, payloadType, midExtension, random } = options;
    this.#options = options;
    this.#sequenceNumber = Math.floor(random() * 0x8000);
    this.#repairSequenceNumber = Math.floor(random() * 0x8000);
    this.#history = new PacketHistory(options.historyPackets);
    const { ridExtension, transportSequenceId } = options;
    if (transportSequenceId !== undefined)
      this.#fixed.push({ id: transportSequenceId, data: Buffer.alloc(2) });
    if (midExtension) this.#fixed.push({ id: midExtension.id, data: Buffer.from(midExtension.mid) });
    if (ridExtension) this.#fixed.push({ id: ridExtension.id, data: Buffer.from(ridExtension.rid) });
    this.stats = {
      ssrc,
      payloadType,
      packetsSent: 0,
      bytesSent: 0,
      headerBytesSent: 0,
      retransmittedPackets: 0,
      retransmittedBytes: 0,
      repairSsrc: options.repair?.ssrc,
      nackCount: 0,
      remote: undefined,
    };
  }

  /**
   * @param extensions besides the one with the media section's name
   * @param payloadType another one than the stream's own, as telephone events have
   */
  send(
    payload: Uint8Array,
    timestamp: number,
    marker: boolean,
    extensions: readonly HeaderExtension[] = [],
    payloadType = this.#options.payloadType,
  ): void {
    const { ssrc, send } = this.#options;
    const sequenceNumber = this.#sequenceNumber;
    const packet = serializeRtp(
      {
        payloadType,
        marker,
        sequenceNumber,
        timestamp,
        ssrc,
        extensions: this.#fixed.length > 0 ? [...this.#fixed, ...extensions] : extensions,
      },
      payload,
    );
    this.#history.add(sequenceNumber, packet);
    this.#sequenceNumber = (sequenceNumber + 1) & 0xffff;
    this.stats.packetsSent++;
    this.stats.bytesSent += payload.length;
    this.stats.headerBytesSent += packet.length - payload.length;
    send(packet);
  }

  /** Sends a packet without content, between two frames, with the timestamp of the one before. */
  sendPadding(timestamp: number): void {
    const { ssrc, payloadType, send } = this.#options;
    const sequenceNumber = this.#sequenceNumber;
    const header = { payloadType, marker: false, sequenceNumber, timestamp, ssrc, extensions: this.#fixed };
    const packet = serializeRtp(header, padding);
    packet[0]! |= 0x20;
    this.#sequenceNumber = (sequenceNumber + 1) & 0xffff;
    send(packet);
  }

  /** Sends a sender report when it is time for one. */
  reportIfDue(timestamp: number, nowMs: number): void {
    if (nowMs < this.#nextReportMs || this.stats.packetsSent === 0) return;
    this.#nextReportMs = nowMs + reportIntervalMs;
    const { ssrc, cname, send, wallClockMs } = this.#options;
    send(
      buildSenderReport({
        ssrc,
        cname,
        ntp: toNtp(wallClockMs()),
        rtpTimestamp: timestamp,
        packetCount: this.stats.packetsSent,
        octetCount: this.stats.bytesSent,
      }),
    );
  }

  /** Takes the other side's reports and its requests for lost packets. */
  handleRtcp(packet: Buffer): void {
    const { ssrc } = this.#options;
    for (const report of parseRtcp(packet)) {
      if (report.type === 'nack' && report.mediaSsrc === ssrc) this.#resend(report.sequenceNumbers);
      if (report.type !== 'receiverReport' && report.type !== 'senderReport') continue;
      for (const block of report.reports) if (block.ssrc === ssrc) this.#handleReport(block);
    }
  }

  #resend(sequenceNumbers: readonly number[]): void {
    this.stats.nackCount++;
    for (const packet of this.#history.take(sequenceNumbers)) {
      this.stats.retransmittedPackets++;
      this.stats.retransmittedBytes += packet.length - headerBytesOf(packet);
      const { repair, send, sendAgain = send } = this.#options;
      if (repair) send(this.#repaired(packet, repair));
      else sendAgain(packet);
    }
  }

  /** The same packet in the stream of retransmissions: its payload begins with the number that it had. */
  #repaired(packet: Buffer, { ssrc, payloadType }: { ssrc: number; payloadType: number }): Buffer {
    const headerBytes = headerBytesOf(packet);
    const repaired = Buffer.allocUnsafe(packet.length + 2);
    packet.copy(repaired, 0, 0, headerBytes);
    packet.copy(repaired, headerBytes, 2, 4);
    packet.copy(repaired, headerBytes + 2, headerBytes);
    repaired[1] = (packet[1]! & 0x80) | payloadType;
    repaired.writeUInt16BE(this.#repairSequenceNumber, 2);
    repaired.writeUInt32BE(ssrc, 8);
    this.#repairSequenceNumber = (this.#repairSequenceNumber + 1) & 0xffff;
    this.#renameLayer(repaired);
    return repaired;
  }

  /** Retransmissions name their layer in another header extension than the packets themselves. */
  #renameLayer(packet: Buffer): void {
    const { id, repairedId } = this.#options.ridExtension ?? {};
    if (id === undefined || repairedId === undefined) return;
    let at = firstExtensionAt;
    for (const extension of this.#fixed) {
      if (extension.id === id) packet[at] = (repairedId << 4) | (packet[at]! & 0x0f);
      at += 1 + extension.data.length;
    }
  }

  #handleReport(block: ReportBlock): void {
    const nowMs = this.#options.wallClockMs();
    const nowNtp = Number((toNtp(nowMs) >> 16n) & 0xffffffffn);
    const roundTrip = (nowNtp - block.lastSenderReport - block.delaySinceLastSenderReport) | 0;
    const roundTripMs = block.lastSenderReport === 0 ? undefined : Math.max(0, (roundTrip / 65536) * 1000);
    const { totalRoundTripMs = 0, roundTripCount = 0 } = this.stats.remote ?? {};
    this.stats.remote = {
      fractionLost: block.fractionLost,
      packetsLost: block.cumulativeLost,
      jitterMs: block.jitter / (this.#options.clockRate / 1000),
      roundTripMs,
      totalRoundTripMs: totalRoundTripMs + (roundTripMs ?? 0),
      roundTripCount: roundTripCount + (roundTripMs === undefined ? 0 : 1),
      reportedAtMs: nowMs,
    };
  }
}

/** Of a packet of ours, which has no CSRCs. */
function headerBytesOf(packet: Buffer): number {
  return 12 + ((packet[0]! & 0x10) === 0 ? 0 : 4 + 4 * packet.readUInt16BE(14));
}
