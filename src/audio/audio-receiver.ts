import { AudioStream, type AudioStreamOptions } from './audio-stream.js';
import { JitterBuffer, type JitterBufferStats } from './jitter-buffer.js';
import { maxDtxBytes, opusClockRate, opusPacketSamples } from './opus.js';
import { Playout, type PlayoutStats } from './playout.js';
import { ReceptionReport, type ReceptionStats } from './reception-report.js';
import { parseRed } from './red.js';
import { buildNack, buildReceiverReport, parseRtcp } from './rtcp.js';
import { isRtcp, parseRtp, type RtpPacket } from './rtp.js';
import { sharedTicker, type Ticker } from './ticker.js';

/** What a payload type carries; packets of any other are counted and dropped. */
export type AudioPayload = 'opus' | 'red';

export interface AudioReceiverOptions {
  /** By payload type, as the session description says. */
  payloadTypes: ReadonlyMap<number, AudioPayload>;
  ticker?: Ticker;
  /** Takes receiver reports (and NACKs when `nack` is set). */
  sendRtcp?: (packet: Buffer) => void;
  /** Asks for lost packets again; only where the session description has `nack` for the codec. */
  nack?: boolean;
  /** Our own SSRC in reports. */
  localSsrc?: number;
  cname?: string;
}

export interface AudioReceiverStats extends ReceptionStats, JitterBufferStats, PlayoutStats {
  ssrc: number | undefined;
  payloadType: number | undefined;
  /** Packets that could not be used: malformed, or of an unknown payload type. */
  packetsDiscarded: number;
}

const reportIntervalMs = 5_000;
const firstReportMs = 1_000;
/** Stragglers of a source that was replaced are ignored this long. */
const retiredMs = 2_000;

/** One received track: puts its packets in order, decodes them once, and feeds every open stream at a steady beat. */
export class AudioReceiver {
  #options: AudioReceiverOptions;
  #ticker: Ticker;
  #payloadTypes: ReadonlyMap<number, AudioPayload>;
  #streams = new Set<AudioStream>();
  #jitter = new JitterBuffer(opusClockRate);
  #playout = new Playout(this.#jitter);
  #reception: ReceptionReport | undefined;
  #retired: { ssrc: number; untilMs: number } | undefined;
  #payloadType: number | undefined;
  #packetsDiscarded = 0;
  #nextReportMs = 0;
  #closed = false;

  constructor(options: AudioReceiverOptions) {
    this.#options = options;
    this.#ticker = options.ticker ?? sharedTicker();
    this.#payloadTypes = options.payloadTypes;
  }

  /** Takes an RTP or RTCP packet as it came. Anything malformed is dropped and counted. */
  handlePacket(packet: Buffer): void {
    if (this.#closed) return;
    const nowMs = this.#ticker.clock.nowMs();
    if (isRtcp(packet)) {
      this.#handleRtcp(packet, nowMs);
      return;
    }
    const rtp = parseRtp(packet);
    const payload = rtp && this.#payloadTypes.get(rtp.payloadType);
    if (!rtp || !payload || !this.#accepts(rtp, nowMs)) {
      this.#packetsDiscarded++;
      return;
    }
    this.#payloadType = rtp.payloadType;
    this.#reception!.received(rtp, packet.length, nowMs);
    if (payload === 'red') this.#insertRed(rtp, nowMs);
    else this.#insert(rtp.payload, rtp.sequenceNumber, rtp.timestamp, false, nowMs);
    if (this.#streams.size === 0) this.#jitter.clear();
    this.#report(nowMs);
  }

  /** Opens a view of the track; frames come from now on, of silence while there is no audio. */
  openStream(options: AudioStreamOptions): AudioStream {
    const stream = new AudioStream(options, (closed) => this.#forget(closed));
    if (this.#closed) {
      stream.close();
      return stream;
    }
    this.#streams.add(stream);
    this.#playout.configure(this.#streams);
    this.#ticker.add(this.#onTick);
    return stream;
  }

  setPayloadTypes(payloadTypes: ReadonlyMap<number, AudioPayload>): void {
    this.#payloadTypes = payloadTypes;
  }

  stats(): AudioReceiverStats {
    return {
      ...(this.#reception?.stats ?? ReceptionReport.none),
      ...this.#jitter.stats,
      ...this.#playout.stats,
      ssrc: this.#reception?.ssrc,
      payloadType: this.#payloadType,
      packetsDiscarded: this.#packetsDiscarded,
    };
  }

  /** Ends every stream. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#ticker.remove(this.#onTick);
    for (const stream of [...this.#streams]) stream.close();
    this.#playout.close();
  }

  #onTick = {
    tick: (nowMs: number): void => {
      const samples = this.#playout.tenMs(nowMs);
      for (const stream of this.#streams) {
        stream.push(samples, this.#playout.format, nowMs);
        stream.tick(nowMs);
      }
    },
  };

  #forget(stream: AudioStream): void {
    this.#streams.delete(stream);
    if (this.#streams.size > 0) {
      this.#playout.configure(this.#streams);
      return;
    }
    this.#ticker.remove(this.#onTick);
    this.#jitter.clear();
    this.#playout.rest();
  }

  /** Follows the source: a new SSRC starts a new timeline, stragglers of the old one are dropped. */
  #accepts(rtp: RtpPacket, nowMs: number): boolean {
    const current = this.#reception;
    if (current?.ssrc === rtp.ssrc) return true;
    if (this.#retired?.ssrc === rtp.ssrc && nowMs < this.#retired.untilMs) return false;
    if (current) {
      this.#retired = { ssrc: current.ssrc, untilMs: nowMs + retiredMs };
      this.#jitter = new JitterBuffer(opusClockRate);
      this.#playout.setSource(this.#jitter);
    }
    this.#reception = new ReceptionReport(rtp.ssrc, opusClockRate);
    this.#nextReportMs = nowMs + firstReportMs;
    return true;
  }

  #insertRed(rtp: RtpPacket, nowMs: number): void {
    const blocks = parseRed(rtp.payload);
    if (!blocks) {
      this.#packetsDiscarded++;
      return;
    }
    blocks.forEach((block, i) => {
      if (this.#payloadTypes.get(block.payloadType) !== 'opus' || block.payload.length === 0) return;
      const packetsBack = blocks.length - 1 - i;
      this.#insert(
        block.payload,
        (rtp.sequenceNumber - packetsBack) & 0xffff,
        (rtp.timestamp - block.timestampOffset) >>> 0,
        packetsBack > 0,
        nowMs,
      );
    });
  }

  #insert(
    payload: Buffer,
    sequenceNumber: number,
    timestamp: number,
    redundant: boolean,
    nowMs: number,
  ): void {
    const samples = opusPacketSamples(payload);
    if (samples === 0) return;
    const dtx = payload.length <= maxDtxBytes;
    this.#jitter.insert(
      { sequenceNumber, timestamp, payload, samples, redundant, dtx },
      nowMs,
      !this.#ticker.isStalled,
    );
  }

  #handleRtcp(packet: Buffer, nowMs: number): void {
    for (const report of parseRtcp(packet)) {
      if (report.type === 'senderReport' && report.ssrc === this.#reception?.ssrc) {
        this.#reception.senderReport(report, nowMs);
      }
    }
  }

  #report(nowMs: number): void {
    const { sendRtcp, localSsrc = 1, cname = 'offhook', nack } = this.#options;
    if (!sendRtcp || !this.#reception) return;
    if (nack) {
      const missing = this.#reception.takeMissing();
      if (missing.length > 0) sendRtcp(buildNack(localSsrc, this.#reception.ssrc, missing));
    }
    if (nowMs < this.#nextReportMs) return;
    this.#nextReportMs = nowMs + reportIntervalMs;
    sendRtcp(buildReceiverReport(localSsrc, cname, [this.#reception.take(nowMs)]));
  }
}
