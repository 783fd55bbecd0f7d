import { limits } from '../limits.js';
import { BandwidthEstimator } from './bandwidth-estimator.js';
import { transportSequenceAt } from './rtp.js';
import type { TransportFeedback } from './transport-feedback.js';

/** A stream, or the layers of one track, that keep to their share of the path. */
export interface ControlledStream {
  /** What it would send on a path that carries everything. */
  readonly wantedBps: number;
  /** Called when its share has changed. It may be more than is wanted. */
  onBitrate(bitrateBps: number): void;
  /** Sends one packet without content, to find out whether the path carries more; false where nothing is being sent. */
  sendPadding(): boolean;
}

export interface CongestionControlOptions {
  send: (packet: Buffer) => void;
  /** A timer of the pacing or the probing threw. It goes no further: others share the process. */
  onError: (error: unknown) => void;
  nowMs?: () => number;
  startBps?: number;
}

const defaultStartBps = 1_500_000;
const minBps = 60_000;
const maxBps = 50_000_000;
/**
 * Faster than the estimate, so that a key frame does not wait long; slower than all at once, which fills queues. Where
 * the path was full a moment ago, its queue is what audio waits in.
 */
const pacingFactor = { wide: 2.5, narrow: 1.2 };
const pacingIntervalMs = 5;
/** What may leave at once after a pause. */
const burstMs = 20;
const packetBytes = 1_200;
const probeIntervalMs = 20;
/** RTP's share of what a path carries: IPv4, UDP and the tag of SRTP. */
const overheadBytes = 44;

/** The numbered packets of one transport: sends them evenly, and shares out among its streams what the path carries. */
export class CongestionControl {
  #options: CongestionControlOptions;
  #nowMs: () => number;
  #estimator: BandwidthEstimator;
  #streams = new Set<ControlledStream>();
  #sequenceNumber = 0;
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #budgetBytes = 0;
  #budgetAtMs: number;
  #timer: NodeJS.Timeout | undefined;
  #wantedBps = 0;
  #probeTimer: NodeJS.Timeout | undefined;
  #probeAtMs = 0;
  /** Bytes that the path is believed to carry, and was not given. */
  #unusedBytes = 0;
  #closed = false;

  constructor(options: CongestionControlOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#budgetAtMs = this.#nowMs();
    this.#estimator = new BandwidthEstimator({
      startBps: options.startBps ?? defaultStartBps,
      minBps,
      maxBps,
    });
  }

  get bitrateBps(): number {
    return this.#estimator.bitrateBps;
  }

  /** How long what is queued takes to leave. */
  get queueMs(): number {
    return this.#queuedBytes / this.#bytesPerMs;
  }

  get #bytesPerMs(): number {
    const isWide = this.#estimator.isSearching(this.#nowMs());
    return (this.bitrateBps * (isWide ? pacingFactor.wide : pacingFactor.narrow)) / 8_000;
  }

  add(stream: ControlledStream): void {
    this.#streams.add(stream);
    this.shareOut();
  }

  remove(stream: ControlledStream): void {
    if (this.#streams.delete(stream)) this.shareOut();
  }

  /** After a stream's wish has changed, too. */
  shareOut(): void {
    let wanted = 0;
    for (const { wantedBps } of this.#streams) wanted += wantedBps;
    this.#wantedBps = wanted;
    const share = this.bitrateBps / Math.max(1, wanted);
    for (const stream of this.#streams) stream.onBitrate(Math.floor(stream.wantedBps * share));
  }

  /** Sends a packet whose first header extension is the transport's sequence number. Runs once for every packet. */
  send(packet: Buffer): void {
    if (this.#closed) return;
    if (this.#queue.length >= limits.pacedPackets.value) return;
    // Numbered here and not when it leaves: one that is asked for again meanwhile is the same packet.
    packet.writeUInt16BE(this.#sequenceNumber, transportSequenceAt(packet));
    this.#sequenceNumber = (this.#sequenceNumber + 1) & 0xffff;
    this.#queue.push(packet);
    this.#queuedBytes += packet.length;
    this.#flush();
  }

  handleFeedback(feedback: TransportFeedback): void {
    const before = this.bitrateBps;
    this.#estimator.feedback(feedback, this.#nowMs());
    if (this.bitrateBps !== before) this.shareOut();
    this.#probeWhereUseful();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearInterval(this.#probeTimer);
    this.#queue = [];
    this.#streams.clear();
  }

  #flush(): void {
    const nowMs = this.#nowMs();
    const bytesPerMs = this.#bytesPerMs;
    const most = Math.max(packetBytes, bytesPerMs * burstMs);
    this.#budgetBytes = Math.min(most, this.#budgetBytes + (nowMs - this.#budgetAtMs) * bytesPerMs);
    this.#budgetAtMs = nowMs;
    let sent = 0;
    try {
      while (sent < this.#queue.length && this.#budgetBytes > 0) {
        const packet = this.#queue[sent++]!;
        this.#budgetBytes -= packet.length;
        this.#queuedBytes -= packet.length;
        this.#sendNow(packet, nowMs);
      }
    } finally {
      // Also after a packet that cannot be sent: those behind it can.
      this.#queue.splice(0, sent);
      if (this.#queue.length > 0) this.#flushLater();
    }
  }

  #flushLater(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      if (!this.#closed) this.#guard(() => this.#flush());
    }, pacingIntervalMs);
  }

  #guard(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#options.onError(error);
    }
  }

  #sendNow(packet: Buffer, nowMs: number): void {
    const sequenceNumber = packet.readUInt16BE(transportSequenceAt(packet));
    this.#estimator.sent(sequenceNumber, packet.length + overheadBytes, nowMs);
    this.#unusedBytes -= packet.length;
    this.#options.send(packet);
  }

  /**
   * Layers that the estimate leaves out would never be sent, because an estimate grows only by what is sent: until it
   * is high enough, or the path is full, packets without content take their place.
   */
  #probeWhereUseful(): void {
    const isUseful = this.bitrateBps < this.#wantedBps && this.#estimator.isSearching(this.#nowMs());
    if (isUseful && !this.#probeTimer) {
      this.#probeAtMs = this.#nowMs();
      this.#unusedBytes = 0;
      this.#probeTimer = setInterval(() => this.#guard(() => this.#probe()), probeIntervalMs);
    } else if (!isUseful && this.#probeTimer) {
      clearInterval(this.#probeTimer);
      this.#probeTimer = undefined;
    }
  }

  #probe(): void {
    const nowMs = this.#nowMs();
    const bytesPerMs = this.bitrateBps / 8_000;
    const most = bytesPerMs * 2 * probeIntervalMs;
    this.#unusedBytes = Math.min(most, this.#unusedBytes + (nowMs - this.#probeAtMs) * bytesPerMs);
    this.#probeAtMs = nowMs;
    const stream = [...this.#streams].find(({ wantedBps }) => wantedBps > 0);
    while (this.#unusedBytes > 0 && this.#queue.length === 0 && stream?.sendPadding());
  }
}
