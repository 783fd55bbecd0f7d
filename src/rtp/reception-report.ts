import { limits } from '../limits.js';
import { fromNtp, type ReportBlock, type RtcpPacket } from './rtcp.js';
import { type RtpPacket, sequenceDifference } from './rtp.js';
import { Unwrapper } from './unwrap.js';

export interface ReceptionStats {
  packetsReceived: number;
  /** Of payload, without headers and padding. */
  bytesReceived: number;
  headerBytesReceived: number;
  /** Packets that never came, less those that came twice (RFC 3550, section 6.4.1): may be negative. */
  packetsLost: number;
  /** Interarrival jitter (RFC 3550, section 6.4.1). */
  jitterMs: number;
  /** On the clock of the receiver; 0 before the first packet. */
  lastPacketMs: number;
  /** The last sender report. */
  sender: RemoteSender | undefined;
}

export interface RemoteSender {
  packetsSent: number;
  bytesSent: number;
  reportsSent: number;
  /** When it was sent, by the sender's clock, since 1970. */
  sentAtMs: number;
  arrivedMs: number;
}

/** A jump in sequence numbers greater than this is a new beginning (RFC 3550, appendix A.1). */
const maxDropout = 3_000;
const maxNack = limits.nackedPackets.value;

/** What a receiver report says of one source: loss and jitter as RFC 3550, appendix A counts them. */
export class ReceptionReport {
  static readonly none: ReceptionStats = {
    packetsReceived: 0,
    bytesReceived: 0,
    headerBytesReceived: 0,
    packetsLost: 0,
    jitterMs: 0,
    lastPacketMs: 0,
    sender: undefined,
  };
  readonly ssrc: number;
  #unitsPerMs: number;
  #sequences = new Unwrapper(16);
  #timestamps = new Unwrapper(32);
  #base: number | undefined;
  #highest = 0;
  #highestSequenceNumber = 0;
  /** Received since `#base`, duplicates included. */
  #counted = 0;
  #lostBefore = 0;
  #packets = 0;
  #bytes = 0;
  #payloadBytes = 0;
  #sender: RemoteSender | undefined;
  #jitter = 0;
  #lastTransit: number | undefined;
  #lastPacketMs = 0;
  #reportedExpected = 0;
  #reportedCounted = 0;
  #lastSenderReport: { middleNtp: number; atMs: number } | undefined;
  #missing: number[] = [];

  constructor(ssrc: number, clockRate: number) {
    this.ssrc = ssrc;
    this.#unitsPerMs = clockRate / 1000;
  }

  received(packet: RtpPacket, bytes: number, nowMs: number): void {
    this.#packets++;
    this.#bytes += bytes;
    this.#payloadBytes += packet.payload.length;
    this.#lastPacketMs = nowMs;
    this.#count(packet.sequenceNumber);
    const transit = nowMs * this.#unitsPerMs - this.#timestamps.unwrap(packet.timestamp);
    if (this.#lastTransit !== undefined) {
      this.#jitter += (Math.abs(transit - this.#lastTransit) - this.#jitter) / 16;
    }
    this.#lastTransit = transit;
  }

  senderReport(report: Extract<RtcpPacket, { type: 'senderReport' }>, nowMs: number): void {
    this.#lastSenderReport = { middleNtp: Number((report.ntp >> 16n) & 0xffffffffn), atMs: nowMs };
    this.#sender = {
      packetsSent: report.packetCount,
      bytesSent: report.octetCount,
      reportsSent: (this.#sender?.reportsSent ?? 0) + 1,
      sentAtMs: fromNtp(report.ntp),
      arrivedMs: nowMs,
    };
  }

  get stats(): ReceptionStats {
    return {
      packetsReceived: this.#packets,
      bytesReceived: this.#payloadBytes,
      headerBytesReceived: this.#bytes - this.#payloadBytes,
      packetsLost: this.#lost,
      jitterMs: this.#jitter / this.#unitsPerMs,
      lastPacketMs: this.#lastPacketMs,
      sender: this.#sender,
    };
  }

  /** The report block, whose fraction counts from the block before. */
  take(nowMs: number): ReportBlock {
    const expected = this.#expected - this.#reportedExpected;
    const lost = expected - (this.#counted - this.#reportedCounted);
    this.#reportedExpected = this.#expected;
    this.#reportedCounted = this.#counted;
    return {
      ssrc: this.ssrc,
      fractionLost: expected > 0 && lost > 0 ? lost / expected : 0,
      cumulativeLost: this.#lost,
      highestSequence: this.#highest >>> 0,
      jitter: Math.round(this.#jitter),
      lastSenderReport: this.#lastSenderReport?.middleNtp ?? 0,
      delaySinceLastSenderReport: this.#lastSenderReport
        ? Math.round(((nowMs - this.#lastSenderReport.atMs) / 1000) * 65536)
        : 0,
    };
  }

  /** Sequence numbers found missing since the last call, once each. */
  takeMissing(): number[] {
    return this.#missing.splice(0);
  }

  get #expected(): number {
    return this.#base === undefined ? 0 : this.#highest - this.#base + 1;
  }

  get #lost(): number {
    return this.#lostBefore + this.#expected - this.#counted;
  }

  #count(sequenceNumber: number): void {
    const jumped =
      this.#base !== undefined &&
      Math.abs(sequenceDifference(sequenceNumber, this.#highestSequenceNumber)) > maxDropout;
    if (jumped) this.#startAnew();
    const sequence = this.#sequences.unwrap(sequenceNumber);
    this.#base ??= sequence;
    if (this.#counted === 0) this.#highest = sequence;
    this.#counted++;
    if (sequence < this.#highest) return;
    for (let missing = Math.max(this.#highest + 1, sequence - maxNack); missing < sequence; missing++) {
      this.#missing.push(missing & 0xffff);
    }
    if (this.#missing.length > maxNack) this.#missing.splice(0, this.#missing.length - maxNack);
    this.#highest = sequence;
    this.#highestSequenceNumber = sequenceNumber;
  }

  #startAnew(): void {
    this.#lostBefore = this.#lost;
    this.#sequences = new Unwrapper(16);
    this.#base = undefined;
    this.#counted = 0;
    this.#reportedExpected = 0;
    this.#reportedCounted = 0;
  }
}
