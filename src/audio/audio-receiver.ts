import { createLogger, type LogSubject } from '../logging/index.js';
import {
  buildNack,
  buildReceiverReport,
  isRtcp,
  parseRtcp,
  parseRtp,
  ReceptionReport,
  type ReceptionStats,
  type RtpPacket,
} from '../rtp/index.js';
import { type AudioCodec, opusCodec } from './audio-codec.js';
import { AudioStream, type AudioStreamOptions } from './audio-stream.js';
import { chain, type Stage } from './chain.js';
import { type AudioPayload, depacketize } from './depacketize.js';
import { JitterBuffer, type JitterBufferStats, type MediaPacket } from './jitter-buffer.js';
import { Playout, type PlayoutStats } from './playout.js';
import { sharedTicker, type Ticker } from './ticker.js';

export interface AudioReceiverOptions {
  /** By payload type, as the session description says. */
  payloadTypes: ReadonlyMap<number, AudioPayload>;
  /** Default Opus. */
  codec?: AudioCodec;
  ticker?: Ticker;
  /** Takes receiver reports (and NACKs when `nack` is set). */
  sendRtcp?: (packet: Buffer) => void;
  /** Asks for lost packets again; only where the session description has `nack` for the codec. */
  nack?: boolean;
  /** Our own SSRC in reports. */
  localSsrc?: number;
  cname?: string;
  /** For logs. */
  subject?: LogSubject;
}

export interface AudioReceiverStats extends ReceptionStats, JitterBufferStats, PlayoutStats {
  ssrc: number | undefined;
  payloadType: number | undefined;
  /** Packets that could not be used: malformed, or of an unknown payload type. */
  packetsDiscarded: number;
}

const streamLog = createLogger('audio/stream');
const reportIntervalMs = 5_000;
const firstReportMs = 1_000;
/** Stragglers of a source that was replaced are ignored this long. */
const retiredMs = 2_000;

/**
 * One received track. The way of a packet is [parse, depacketize RED, reorder] as it arrives; from there the ticker
 * pulls it through [conceal, decode, stretch] once (`Playout`), and for every open stream (`AudioStream`) through
 * [remix, resample, filter, frame]. While no stream is open nothing is decoded.
 */
export class AudioReceiver {
  #options: AudioReceiverOptions;
  #ticker: Ticker;
  #payloadTypes: ReadonlyMap<number, AudioPayload>;
  #streams = new Set<AudioStream>();
  #codec: AudioCodec;
  #jitter: JitterBuffer;
  #playout: Playout;
  #reception: ReceptionReport | undefined;
  #retired: { ssrc: number; untilMs: number } | undefined;
  #payloadType: number | undefined;
  #packetsDiscarded = 0;
  #nextReportMs = 0;
  #arrivalMs = 0;
  #decrypt: ((frame: Buffer) => Buffer | undefined) | undefined;
  #handleRtpPacket: (packet: Buffer) => void;
  #closed = false;

  constructor(options: AudioReceiverOptions) {
    this.#options = options;
    this.#ticker = options.ticker ?? sharedTicker();
    this.#payloadTypes = options.payloadTypes;
    this.#codec = options.codec ?? opusCodec;
    this.#jitter = new JitterBuffer(this.#codec.clockRate);
    this.#playout = new Playout(this.#jitter, this.#codec);
    this.#handleRtpPacket = chain([this.#parse, this.#open, this.#depacketizeRed()], this.#reorder);
  }

  /** Takes an RTP or RTCP packet as it came. Anything malformed is dropped and counted. */
  handlePacket(packet: Buffer): void {
    if (this.#closed) return;
    this.#arrivalMs = this.#ticker.clock.nowMs();
    if (isRtcp(packet)) this.#handleRtcp(packet);
    else this.#handleRtp(packet);
  }

  /** Opens a view of the track; frames come from now on, of silence while there is no audio. */
  openStream(options: AudioStreamOptions): AudioStream {
    const log = streamLog.about(this.#options.subject ?? {});
    const stream = new AudioStream(options, this.#ticker.clock.nowMs, (closed) => this.#forget(closed), log);
    if (this.#closed) {
      stream.close();
      return stream;
    }
    this.#streams.add(stream);
    this.#playout.serve(this.#streams);
    this.#ticker.add(this.#onTick);
    return stream;
  }

  setPayloadTypes(payloadTypes: ReadonlyMap<number, AudioPayload>): void {
    this.#payloadTypes = payloadTypes;
  }

  /** @param decrypt undefined for a frame that is to be dropped */
  setDecryption(decrypt: ((frame: Buffer) => Buffer | undefined) | undefined): void {
    this.#decrypt = decrypt;
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
    this.#playout.rest();
  }

  #parse: Stage<Buffer, RtpPacket> = (packet, next) => {
    const rtp = parseRtp(packet);
    if (!rtp || !this.#payloadTypes.has(rtp.payloadType) || !this.#follow(rtp)) {
      this.#packetsDiscarded++;
      return;
    }
    this.#payloadType = rtp.payloadType;
    this.#reception!.received(rtp, packet.length, this.#arrivalMs);
    next(rtp);
  };

  #open: Stage<RtpPacket, RtpPacket> = (rtp, next) => {
    if (!this.#decrypt) {
      next(rtp);
      return;
    }
    const payload = this.#decrypt(rtp.payload);
    if (payload) next({ ...rtp, payload });
  };

  #depacketizeRed(): Stage<RtpPacket, MediaPacket> {
    return depacketize(
      this.#codec,
      () => this.#payloadTypes,
      () => this.#packetsDiscarded++,
    );
  }

  #reorder = (frame: MediaPacket) => {
    this.#jitter.insert(frame, this.#arrivalMs, !this.#ticker.isStalled);
  };

  #handleRtp(packet: Buffer): void {
    this.#handleRtpPacket(packet);
    if (this.#streams.size === 0) this.#jitter.clear();
    this.#report();
  }

  #onTick = {
    tick: (nowMs: number): void => {
      const audio = this.#playout.tenMs(nowMs);
      for (const stream of this.#streams) {
        stream.push(audio);
        stream.tick();
      }
    },
  };

  #forget(stream: AudioStream): void {
    this.#streams.delete(stream);
    if (this.#streams.size > 0) return;
    this.#ticker.remove(this.#onTick);
    this.#jitter.clear();
    this.#playout.rest();
  }

  /** Follows the track's source: a new SSRC starts a new timeline, stragglers of the old one are refused. */
  #follow(rtp: RtpPacket): boolean {
    const current = this.#reception;
    if (current?.ssrc === rtp.ssrc) return true;
    if (this.#retired?.ssrc === rtp.ssrc && this.#arrivalMs < this.#retired.untilMs) return false;
    if (current) {
      this.#retired = { ssrc: current.ssrc, untilMs: this.#arrivalMs + retiredMs };
      this.#jitter.restart();
    }
    this.#reception = new ReceptionReport(rtp.ssrc, this.#codec.clockRate);
    this.#nextReportMs = this.#arrivalMs + firstReportMs;
    return true;
  }

  #handleRtcp(packet: Buffer): void {
    for (const report of parseRtcp(packet)) {
      if (report.type === 'senderReport' && report.ssrc === this.#reception?.ssrc) {
        this.#reception.senderReport(report, this.#arrivalMs);
      }
    }
  }

  #report(): void {
    const { sendRtcp, localSsrc = 1, cname = 'offhook', nack } = this.#options;
    if (!sendRtcp || !this.#reception) return;
    if (nack) {
      const missing = this.#reception.takeMissing();
      if (missing.length > 0) sendRtcp(buildNack(localSsrc, this.#reception.ssrc, missing));
    }
    if (this.#arrivalMs < this.#nextReportMs) return;
    this.#nextReportMs = this.#arrivalMs + reportIntervalMs;
    sendRtcp(buildReceiverReport(localSsrc, cname, [this.#reception.take(this.#arrivalMs)]));
  }
}
