import { type HeaderExtension, RtpSender, type RtpSenderStats } from '../rtp/index.js';
import { dbovOf, encodeAudioLevel, meanSquare, silenceDbov } from './audio-level.js';
import type { AudioSink, AudioSource } from './audio-source.js';
import { Chunker } from './chunker.js';
import { OpusEncoder } from './opus-encoder.js';
import { maxDtxBytes } from './opus-packet.js';
import { isOpusRate, type OpusRate, opusClockRate } from './opus-rates.js';
import { Redundancy } from './redundancy.js';
import { remix } from './remix.js';
import { Resampler } from './resampler.js';
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
  /** Encrypts an encoded frame; undefined when it must not be sent. Not together with RED. */
  encrypt?: (frame: Buffer) => Buffer | undefined;
  /** 0 to 1, for the first sequence number and timestamp (RFC 3550, section 5.1). */
  random?: () => number;
}

export interface AudioSenderStats extends RtpSenderStats {
  /** Samples taken from the source, in units of 48 kHz. */
  samplesSent: number;
  /** Those of them that the program gave, for each channel, at the source's rate; and that rate. */
  samplesCaptured: number;
  sourceRate: number;
  /** Level of the last frame. */
  audioLevelDbov: number;
  /** Sum over the frames of their mean square, as a fraction of full scale, times their length in seconds. */
  totalAudioEnergy: number;
  targetBitrateBps: number;
  /** When the last packet left, on the ticker's clock; undefined before. */
  lastPacketSentMs: number | undefined;
}

const frameMs = 20;
const tickUnits = opusClockRate / 100;
const frameUnits = opusClockRate / 50;
/** After this much silence the encoder would say the same again and again: its last words are repeated instead. */
const restAfterTicks = 100;
/** In silence, how often discontinuous transmission refreshes the comfort noise (libopus: 400 ms). */
const comfortIntervalTicks = 40;
/** A source without a queue that pauses longer than this has been silent, not slow. */
const pauseMs = 60;
const lossForSecondCopy = 0.03;
const voiceDbov = -55;

/**
 * Sends one source over RTP, a packet every 20 ms. The way of a sample is
 * [remix, resample, collect 20 ms, encode, add redundancy, number and send].
 */
export class AudioSender {
  #source: AudioSource;
  #numChannels: 1 | 2;
  #dtx: boolean;
  #codecRate: OpusRate;
  #resampler: Resampler | undefined;
  #frames: Chunker;
  #encoder: OpusEncoder;
  #redundancy: Redundancy | undefined;
  #encrypt: AudioSenderOptions['encrypt'];
  #rtp: RtpSender;
  #levelExtensionId: number | undefined;
  #silentTick: Int16Array;
  #silentTicks = 0;
  #restTicks = 0;
  #quietPayload: Uint8Array | undefined;
  #muted = false;
  #started = false;
  #closed = false;
  /** RTP timestamp of the frame being collected. */
  #timestamp: number;
  #talking = false;
  #lastAudioMs: number | undefined;
  #samplesSent = 0;
  #samplesCaptured = 0;
  #levelDbov = silenceDbov;
  #audioEnergy = 0;
  #bitrateBps: number;
  #nowMs = 0;
  #lastPacketSentMs: number | undefined;

  constructor(options: AudioSenderOptions) {
    const { source, numChannels, payloadTypes, bitrateBps, dtx, random = Math.random } = options;
    const { clock } = options.ticker ?? sharedTicker();
    this.#source = source;
    this.#numChannels = numChannels;
    this.#dtx = dtx;
    this.#bitrateBps = bitrateBps;
    this.#encrypt = options.encrypt;
    this.#codecRate = isOpusRate(source.sampleRate) ? source.sampleRate : opusClockRate;
    this.#resampler = this.#resamplerOf(source.sampleRate);
    const frameValues = (this.#codecRate / 50) * numChannels;
    this.#frames = new Chunker(frameValues);
    this.#silentTick = new Int16Array(frameValues / 2);
    this.#encoder = new OpusEncoder({ sampleRate: this.#codecRate, numChannels, bitrateBps, dtx });
    if (payloadTypes.red !== undefined) this.#redundancy = new Redundancy(payloadTypes.opus);
    this.#timestamp = Math.floor(random() * 0xffffffff);
    this.#levelExtensionId = options.audioLevelExtensionId;
    this.#rtp = new RtpSender({
      ...options,
      payloadType: payloadTypes.red ?? payloadTypes.opus,
      clockRate: opusClockRate,
      cname: options.cname ?? 'offhook',
      wallClockMs: clock.wallClockMs,
      random,
    });
  }

  start(): void {
    if (this.#started || this.#closed) return;
    this.#started = true;
    this.#source.attach(this.#sink);
  }

  /** While muted, what the source gives is silence; the stream itself goes on. */
  setMuted(muted: boolean): void {
    this.#muted = muted;
  }

  /** Takes the other side's reports and its requests for lost packets. */
  handleRtcp(packet: Buffer): void {
    if (this.#closed) return;
    this.#rtp.handleRtcp(packet);
    // What redundancy makes good need not be made good by the codec too.
    if (!this.#redundancy) this.#encoder.setExpectedLoss(this.#fractionLost);
  }

  stats(): AudioSenderStats {
    return {
      ...this.#rtp.stats,
      samplesSent: this.#samplesSent,
      samplesCaptured: this.#samplesCaptured,
      sourceRate: this.#source.sampleRate,
      audioLevelDbov: this.#levelDbov,
      totalAudioEnergy: this.#audioEnergy,
      targetBitrateBps: this.#bitrateBps,
      lastPacketSentMs: this.#lastPacketSentMs,
    };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#source.detach(this.#sink);
    this.#encoder.close();
  }

  get #fractionLost(): number {
    return this.#rtp.stats.remote?.fractionLost ?? 0;
  }

  #sink: AudioSink = {
    onAudio: (samples, nowMs) => {
      if (this.#closed) return;
      this.#nowMs = nowMs;
      if (this.#source.queueSizeMs === 0) this.#skipPause(nowMs);
      const heard = this.#muted ? undefined : samples;
      this.#silentTicks = heard ? 0 : this.#silentTicks + 1;
      this.#samplesSent += tickUnits;
      if (samples) this.#samplesCaptured += samples.length / this.#source.numChannels;
      if (this.#silentTicks > restAfterTicks && this.#frames.isEmpty && this.#quietPayload) {
        this.#rest();
      } else {
        this.#restTicks = 0;
        this.#frames.push(heard ? this.#convert(heard) : this.#silence(), this.#encodeFrame);
      }
      this.#rtp.reportIfDue(this.#timestamp, nowMs);
    },
  };

  #resamplerOf(sourceRate: number): Resampler | undefined {
    if (sourceRate === this.#codecRate) return undefined;
    return Resampler.create({
      inputRate: sourceRate,
      outputRate: this.#codecRate,
      numChannels: this.#numChannels,
      primed: true,
    });
  }

  #skipPause(nowMs: number): void {
    const pausedMs = this.#lastAudioMs === undefined ? 0 : nowMs - this.#lastAudioMs - 10;
    this.#lastAudioMs = nowMs;
    if (pausedMs < pauseMs) return;
    this.#timestamp += Math.round(pausedMs / 10) * tickUnits;
    this.#talking = false;
  }

  #convert(samples: Int16Array): Int16Array {
    const remixed = remix(samples, this.#source.numChannels, this.#numChannels);
    return this.#resampler ? this.#resampler.push(remixed) : remixed;
  }

  #silence(): Int16Array {
    if (!this.#resampler) return this.#silentTick;
    const frames = Math.floor(this.#source.sampleRate / 100);
    return this.#resampler.push(new Int16Array(frames * this.#numChannels));
  }

  #encodeFrame = (frame: Int16Array): void => {
    const energy = meanSquare(frame);
    this.#levelDbov = dbovOf(energy);
    this.#audioEnergy += (energy * frameMs) / 1_000;
    const payload = this.#encoder.encode(frame);
    const silent = payload.length <= maxDtxBytes;
    if (!silent && this.#silentTicks * 10 >= frameMs) this.#quietPayload = payload;
    // The first empty packet tells the other side that silence begins; those after it say nothing new.
    if (!silent || this.#talking) this.#send(payload);
    this.#talking = !silent;
    this.#timestamp += frameUnits;
  };

  /** One tick of a long silence, without the encoder. */
  #rest(): void {
    this.#levelDbov = silenceDbov;
    this.#restTicks++;
    const every = this.#dtx ? comfortIntervalTicks : frameMs / 10;
    // A packet bears the time of its first sample, which is the tick before this one.
    if (this.#restTicks % every === 0) this.#send(this.#quietPayload!, this.#timestamp - tickUnits);
    this.#timestamp += tickUnits;
    if (this.#dtx) this.#talking = false;
  }

  #send(payload: Uint8Array, atUnits = this.#timestamp): void {
    this.#lastPacketSentMs = this.#nowMs;
    const timestamp = atUnits >>> 0;
    const copies = this.#fractionLost > lossForSecondCopy ? 2 : 1;
    const wrapped =
      this.#redundancy?.wrap(payload, timestamp, copies, payload.length > maxDtxBytes) ?? payload;
    const sealed = this.#encrypt ? this.#encrypt(Buffer.from(wrapped)) : wrapped;
    if (sealed) this.#rtp.send(sealed, timestamp, !this.#talking, this.#level());
  }

  #level(): HeaderExtension[] {
    if (this.#levelExtensionId === undefined) return [];
    const data = Uint8Array.of(encodeAudioLevel(this.#levelDbov, this.#levelDbov > voiceDbov));
    return [{ id: this.#levelExtensionId, data }];
  }
}
