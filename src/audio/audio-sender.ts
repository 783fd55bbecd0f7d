import { audioLevelDbov, encodeAudioLevel, silenceDbov } from './audio-level.js';
import type { AudioSink, AudioSource } from './audio-source.js';
import { OpusEncoder } from './opus-encoder.js';
import { maxDtxBytes } from './opus-packet.js';
import { isOpusRate, type OpusRate, opusClockRate } from './opus-rates.js';
import { PacketHistory } from './packet-history.js';
import { buildRed } from './red.js';
import { remix } from './remix.js';
import { Resampler } from './resampler.js';
import { buildSenderReport, parseRtcp, type ReportBlock, toNtp } from './rtcp.js';
import { serializeRtp } from './rtp.js';
import { sharedTicker, type Ticker } from './ticker.js';

export interface AudioSenderOptions {
  source: AudioSource;
  ssrc: number;
  payloadTypes: { opus: number; red?: number };
  /** Says nothing while there is nothing to hear, but for a packet of comfort noise every 400 ms. */
  dtx: boolean;
  numChannels: 1 | 2;
  bitrateBps: number;
  /** Takes RTP and RTCP packets. */
  send: (packet: Buffer) => void;
  ticker?: Ticker;
  /** Id of the audio level header extension (RFC 6464), when it was negotiated. */
  audioLevelExtensionId?: number;
  /** The media section's own header extension (RFC 9143), when it was negotiated. */
  midExtension?: { id: number; mid: string };
  cname?: string;
  /** 0 to 1, for the first sequence number and timestamp (RFC 3550, section 5.1). */
  random?: () => number;
}

export interface AudioSenderStats {
  ssrc: number;
  payloadType: number;
  packetsSent: number;
  /** Of payload, without headers. */
  bytesSent: number;
  headerBytesSent: number;
  retransmittedPackets: number;
  nackCount: number;
  /** Samples taken from the source, in units of 48 kHz. */
  samplesSent: number;
  /** Level of the last frame. */
  audioLevelDbov: number;
  /** What the other side last reported; undefined before. */
  remote:
    | { fractionLost: number; packetsLost: number; jitterMs: number; roundTripMs: number | undefined }
    | undefined;
}

const frameMs = 20;
const tickUnits = opusClockRate / 100;
const frameUnits = opusClockRate / 50;
const reportIntervalMs = 5_000;
/** After this much silence the encoder would say the same again and again: its last words are repeated instead. */
const restAfterTicks = 100;
/** In silence, how often discontinuous transmission refreshes the comfort noise (libopus: 400 ms). */
const comfortIntervalTicks = 40;
/** A source without a queue that pauses longer than this has been silent, not slow. */
const pauseMs = 60;
const voiceDbov = -55;
const lossForSecondCopy = 0.03;

/** Sends one source as Opus over RTP, a packet every 20 ms. */
export class AudioSender {
  #options: AudioSenderOptions;
  #ticker: Ticker;
  #encoder: OpusEncoder;
  #codecRate: OpusRate;
  #resampler: Resampler | undefined;
  /** The 20 ms being collected, at the codec's rate. */
  #frame: Int16Array;
  #filled = 0;
  #silentTick: Int16Array;
  #silentTicks = 0;
  #muted = false;
  #started = false;
  #closed = false;
  #sequenceNumber: number;
  /** RTP timestamp of the frame being collected. */
  #timestamp: number;
  #talking = false;
  #quietPayload: Uint8Array | undefined;
  #older: { timestamp: number; payload: Uint8Array }[] = [];
  #history = new PacketHistory();
  #lastAudioMs: number | undefined;
  #nextReportMs = 0;
  #stats: AudioSenderStats;

  constructor(options: AudioSenderOptions) {
    const { source, numChannels, random = Math.random } = options;
    this.#options = options;
    this.#ticker = options.ticker ?? sharedTicker();
    this.#codecRate = isOpusRate(source.sampleRate) ? source.sampleRate : opusClockRate;
    if (this.#codecRate !== source.sampleRate) {
      this.#resampler = Resampler.create({
        inputRate: source.sampleRate,
        outputRate: this.#codecRate,
        numChannels,
        primed: true,
      });
    }
    this.#encoder = new OpusEncoder({
      sampleRate: this.#codecRate,
      numChannels,
      bitrateBps: options.bitrateBps,
      dtx: options.dtx,
    });
    this.#frame = new Int16Array((this.#codecRate / 50) * numChannels);
    this.#silentTick = new Int16Array(this.#frame.length / 2);
    this.#sequenceNumber = Math.floor(random() * 0x8000);
    this.#timestamp = Math.floor(random() * 0xffffffff);
    this.#stats = {
      ssrc: options.ssrc,
      payloadType: options.payloadTypes.red ?? options.payloadTypes.opus,
      packetsSent: 0,
      bytesSent: 0,
      headerBytesSent: 0,
      retransmittedPackets: 0,
      nackCount: 0,
      samplesSent: 0,
      audioLevelDbov: silenceDbov,
      remote: undefined,
    };
  }

  start(): void {
    if (this.#started || this.#closed) return;
    this.#started = true;
    this.#options.source.attach(this.#sink);
  }

  /** While muted, what the source gives is silence; the stream itself goes on. */
  setMuted(muted: boolean): void {
    this.#muted = muted;
  }

  /** Takes the other side's reports and its requests for lost packets. */
  handleRtcp(packet: Buffer): void {
    if (this.#closed) return;
    for (const report of parseRtcp(packet)) {
      if (report.type === 'nack' && report.mediaSsrc === this.#options.ssrc) {
        this.#resend(report.sequenceNumbers);
      } else if (report.type === 'receiverReport' || report.type === 'senderReport') {
        for (const block of report.reports) if (block.ssrc === this.#options.ssrc) this.#handleReport(block);
      }
    }
  }

  stats(): AudioSenderStats {
    return { ...this.#stats };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#options.source.detach(this.#sink);
    this.#encoder.close();
  }

  #sink: AudioSink = {
    onAudio: (samples, nowMs) => {
      if (this.#closed) return;
      const { source } = this.#options;
      if (source.queueSizeMs === 0) this.#skipPause(nowMs);
      const heard = this.#muted ? undefined : samples;
      this.#silentTicks = heard ? 0 : this.#silentTicks + 1;
      this.#stats.samplesSent += tickUnits;
      if (this.#silentTicks > restAfterTicks && this.#filled === 0 && this.#quietPayload) this.#rest();
      else this.#collect(heard ? this.#convert(heard) : this.#silence());
      this.#report(nowMs);
    },
  };

  #skipPause(nowMs: number): void {
    const pausedMs = this.#lastAudioMs === undefined ? 0 : nowMs - this.#lastAudioMs - 10;
    this.#lastAudioMs = nowMs;
    if (pausedMs < pauseMs) return;
    this.#timestamp += Math.round(pausedMs / 10) * tickUnits;
    this.#talking = false;
  }

  #convert(samples: Int16Array): Int16Array {
    const remixed = remix(samples, this.#options.source.numChannels, this.#options.numChannels);
    return this.#resampler ? this.#resampler.push(remixed) : remixed;
  }

  #silence(): Int16Array {
    if (!this.#resampler) return this.#silentTick;
    const frames = Math.floor(this.#options.source.sampleRate / 100);
    return this.#resampler.push(new Int16Array(frames * this.#options.numChannels));
  }

  #collect(samples: Int16Array): void {
    let at = 0;
    while (at < samples.length) {
      const part = samples.subarray(at, at + this.#frame.length - this.#filled);
      this.#frame.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled < this.#frame.length) return;
      this.#filled = 0;
      this.#encodeFrame();
    }
  }

  #encodeFrame(): void {
    const level = audioLevelDbov(this.#frame);
    this.#stats.audioLevelDbov = level;
    const payload = this.#encoder.encode(this.#frame);
    const silent = payload.length <= maxDtxBytes;
    if (!silent && this.#silentTicks * 10 >= frameMs) this.#quietPayload = payload;
    // The first empty packet tells the other side that silence begins; those after it say nothing new.
    if (!silent || this.#talking) this.#sendPayload(payload, level);
    this.#talking = !silent;
    this.#timestamp += frameUnits;
  }

  /** One tick of a long silence, without the encoder. */
  #rest(): void {
    const every = this.#options.dtx ? comfortIntervalTicks : frameMs / 10;
    if (this.#silentTicks % every === 0) this.#sendPayload(this.#quietPayload!, silenceDbov);
    this.#timestamp += tickUnits;
    if (this.#options.dtx) this.#talking = false;
    this.#stats.audioLevelDbov = silenceDbov;
  }

  #sendPayload(payload: Uint8Array, level: number): void {
    const { ssrc, payloadTypes, send } = this.#options;
    const timestamp = this.#timestamp >>> 0;
    const wrapped = payloadTypes.red === undefined ? payload : this.#withRedundancy(payload, timestamp);
    const packet = serializeRtp(
      {
        payloadType: payloadTypes.red ?? payloadTypes.opus,
        marker: !this.#talking,
        sequenceNumber: this.#sequenceNumber,
        timestamp,
        ssrc,
        extensions: this.#extensions(level),
      },
      wrapped,
    );
    this.#history.add(this.#sequenceNumber, packet);
    this.#sequenceNumber = (this.#sequenceNumber + 1) & 0xffff;
    this.#stats.packetsSent++;
    this.#stats.bytesSent += wrapped.length;
    this.#stats.headerBytesSent += packet.length - wrapped.length;
    send(packet);
  }

  #extensions(level: number): { id: number; data: Uint8Array }[] {
    const { audioLevelExtensionId, midExtension } = this.#options;
    const extensions = [];
    if (midExtension) extensions.push({ id: midExtension.id, data: Buffer.from(midExtension.mid) });
    if (audioLevelExtensionId !== undefined) {
      const data = Uint8Array.of(encodeAudioLevel(level, level > voiceDbov));
      extensions.push({ id: audioLevelExtensionId, data });
    }
    return extensions;
  }

  #withRedundancy(payload: Uint8Array, timestamp: number): Uint8Array {
    const copies = (this.#stats.remote?.fractionLost ?? 0) > lossForSecondCopy ? 2 : 1;
    const older = this.#older.slice(-copies).map((block) => ({
      timestampOffset: (timestamp - block.timestamp) >>> 0,
      payload: block.payload,
    }));
    if (payload.length > maxDtxBytes) {
      this.#older.push({ timestamp, payload });
      if (this.#older.length > 2) this.#older.shift();
    }
    return buildRed(this.#options.payloadTypes.opus, payload, older);
  }

  #resend(sequenceNumbers: readonly number[]): void {
    this.#stats.nackCount++;
    for (const packet of this.#history.take(sequenceNumbers)) {
      this.#stats.retransmittedPackets++;
      this.#options.send(packet);
    }
  }

  #handleReport(block: ReportBlock): void {
    const nowNtp = Number((toNtp(this.#ticker.clock.wallClockMs()) >> 16n) & 0xffffffffn);
    const roundTrip = (nowNtp - block.lastSenderReport - block.delaySinceLastSenderReport) | 0;
    this.#stats.remote = {
      fractionLost: block.fractionLost,
      packetsLost: block.cumulativeLost,
      jitterMs: block.jitter / (opusClockRate / 1000),
      roundTripMs: block.lastSenderReport === 0 ? undefined : Math.max(0, (roundTrip / 65536) * 1000),
    };
    if (this.#options.payloadTypes.red === undefined) this.#encoder.setExpectedLoss(block.fractionLost);
  }

  #report(nowMs: number): void {
    if (nowMs < this.#nextReportMs || this.#stats.packetsSent === 0) return;
    this.#nextReportMs = nowMs + reportIntervalMs;
    const { ssrc, cname = 'offhook', send } = this.#options;
    send(
      buildSenderReport({
        ssrc,
        cname,
        ntp: toNtp(this.#ticker.clock.wallClockMs()),
        rtpTimestamp: this.#timestamp,
        packetCount: this.#stats.packetsSent,
        octetCount: this.#stats.bytesSent,
      }),
    );
  }
}
