import {
  buildSenderReport,
  PacketHistory,
  parseRtcp,
  type ReportBlock,
  serializeRtp,
  toNtp,
} from '../rtp/index.js';
import { encodeAudioLevel } from './audio-level.js';

export interface RtpSenderOptions {
  ssrc: number;
  payloadType: number;
  /** Of timestamps, in Hz. */
  clockRate: number;
  /** Takes RTP and RTCP packets. */
  send: (packet: Buffer) => void;
  /** Milliseconds since 1970. */
  wallClockMs: () => number;
  cname: string;
  audioLevelExtensionId?: number;
  midExtension?: { id: number; mid: string };
  random: () => number;
}

export interface RtpSenderStats {
  ssrc: number;
  payloadType: number;
  packetsSent: number;
  /** Of payload, without headers. */
  bytesSent: number;
  headerBytesSent: number;
  retransmittedPackets: number;
  nackCount: number;
  /** What the other side last reported; undefined before. */
  remote:
    | { fractionLost: number; packetsLost: number; jitterMs: number; roundTripMs: number | undefined }
    | undefined;
}

const reportIntervalMs = 5_000;
const voiceDbov = -55;

/** One outgoing RTP stream: numbers packets, answers NACKs, exchanges reports. */
export class RtpSender {
  readonly stats: RtpSenderStats;
  #options: RtpSenderOptions;
  #sequenceNumber: number;
  #history = new PacketHistory();
  #nextReportMs = 0;
  #midData: Buffer | undefined;

  constructor(options: RtpSenderOptions) {
    const { ssrc, payloadType, midExtension, random } = options;
    this.#options = options;
    this.#sequenceNumber = Math.floor(random() * 0x8000);
    this.#midData = midExtension && Buffer.from(midExtension.mid);
    this.stats = {
      ssrc,
      payloadType,
      packetsSent: 0,
      bytesSent: 0,
      headerBytesSent: 0,
      retransmittedPackets: 0,
      nackCount: 0,
      remote: undefined,
    };
  }

  /** @param payloadType another one than the stream's own, as telephone events have */
  send(
    payload: Uint8Array,
    timestamp: number,
    marker: boolean,
    levelDbov: number,
    payloadType = this.#options.payloadType,
  ): void {
    const { ssrc, send } = this.#options;
    const sequenceNumber = this.#sequenceNumber;
    const extensions = this.#extensions(levelDbov);
    const packet = serializeRtp(
      { payloadType, marker, sequenceNumber, timestamp, ssrc, extensions },
      payload,
    );
    this.#history.add(sequenceNumber, packet);
    this.#sequenceNumber = (sequenceNumber + 1) & 0xffff;
    this.stats.packetsSent++;
    this.stats.bytesSent += payload.length;
    this.stats.headerBytesSent += packet.length - payload.length;
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

  #extensions(levelDbov: number): { id: number; data: Uint8Array }[] {
    const { audioLevelExtensionId, midExtension } = this.#options;
    const extensions = [];
    if (midExtension) extensions.push({ id: midExtension.id, data: this.#midData! });
    if (audioLevelExtensionId !== undefined) {
      const data = Uint8Array.of(encodeAudioLevel(levelDbov, levelDbov > voiceDbov));
      extensions.push({ id: audioLevelExtensionId, data });
    }
    return extensions;
  }

  #resend(sequenceNumbers: readonly number[]): void {
    this.stats.nackCount++;
    for (const packet of this.#history.take(sequenceNumbers)) {
      this.stats.retransmittedPackets++;
      this.#options.send(packet);
    }
  }

  #handleReport(block: ReportBlock): void {
    const nowNtp = Number((toNtp(this.#options.wallClockMs()) >> 16n) & 0xffffffffn);
    const roundTrip = (nowNtp - block.lastSenderReport - block.delaySinceLastSenderReport) | 0;
    this.stats.remote = {
      fractionLost: block.fractionLost,
      packetsLost: block.cumulativeLost,
      jitterMs: block.jitter / (this.#options.clockRate / 1000),
      roundTripMs: block.lastSenderReport === 0 ? undefined : Math.max(0, (roundTrip / 65536) * 1000),
    };
  }
}
