import { limits } from '../limits.js';
import { Unwrapper } from '../rtp/index.js';
import { DelayEstimator } from './delay-estimator.js';

/** One coded frame, however it came: as a packet of its own or as redundancy inside a later one. */
export interface MediaPacket {
  sequenceNumber: number;
  timestamp: number;
  payload: Buffer;
  /** Duration in units of the clock rate. */
  samples: number;
  /** A copy from a RED packet. */
  redundant: boolean;
  /** No audio: the sender stays silent until its next packet. */
  dtx: boolean;
}

/** What to play next. `excessMs` says how far the delay is off: negative means too short. */
export type PlayoutDecision =
  | { kind: 'packet'; packet: MediaPacket; excessMs: number }
  /** A packet is lost or late: make up a frame. */
  | { kind: 'conceal' }
  /** The sender is silent: comfort noise. */
  | { kind: 'comfort' }
  /** Nothing has come (for a long time). */
  | { kind: 'silence' };

export interface JitterBufferStats {
  /** Packets taken for playout. */
  played: number;
  /** Frames played from redundant copies. */
  recovered: number;
  duplicates: number;
  /** Packets that came after their turn. */
  late: number;
  /** Packets thrown away because far too much was waiting. */
  discarded: number;
  /** How often the stream restarted because its clock or sequence numbers jumped. */
  resets: number;
  /** Sum over played packets of the time between arrival and playout. */
  totalDelayMs: number;
  targetDelayMs: number;
  /** Samples taken for playout, in units of the clock rate; and sums over them of their delay, and of the target delay. */
  samplesEmitted: number;
  sampleDelayMs: number;
  sampleTargetDelayMs: number;
  /** Audio that is waiting. */
  bufferedMs: number;
}

interface Entry {
  packet: MediaPacket;
  sequence: number;
  timestamp: number;
  arrivalMs: number;
}

/** A packet further off than this from where time says it should be belongs to a new timeline, if a second agrees. */
const resetMs = 3_000;
/** Beyond this much too much delay, packets are thrown away rather than played faster. */
const maxExcessMs = 1_000;
/** A lost stretch longer than this is not filled but skipped. */
const maxFillMs = 200;
/** After this long without packets the next one starts a new talk spurt. */
const maxUnderrunMs = 1_000;
const comfortMs = 2_000;
/** Packets closer together than this share one delay: the one that held up the first of them. */
const burstMs = 3;

/**
 * Puts packets in order and says what to play when. Pure: time comes in with every call, nothing is decoded here.
 * Frames are kept by timestamp, since redundant copies have no sequence number of their own.
 */
export class JitterBuffer {
  #unitsPerMs: number;
  #entries: Entry[] = [];
  #timestamps = new Unwrapper(32);
  #sequences = new Unwrapper(16);
  #delay = new DelayEstimator();
  #lastArrivalMs = Number.NEGATIVE_INFINITY;
  #suspect: Entry | undefined;
  /** Timestamp of the next sample to play; undefined until playout begins. */
  #expected: number | undefined;
  #lastSequence = 0;
  #lastWasDtx = false;
  /** Made-up audio played since `#expected` was due. */
  #filled = 0;
  #stats = {
    played: 0,
    recovered: 0,
    duplicates: 0,
    late: 0,
    discarded: 0,
    resets: 0,
    totalDelayMs: 0,
    samplesEmitted: 0,
    sampleDelayMs: 0,
    sampleTargetDelayMs: 0,
  };

  constructor(clockRate: number) {
    this.#unitsPerMs = clockRate / 1000;
  }

  /**
   * @param measure false when the arrival time says nothing about the network: this process was held up itself
   * @returns false when the packet is of no use: too late, or there already
   */
  insert(packet: MediaPacket, nowMs: number, measure = true): boolean {
    const entry = {
      packet,
      sequence: this.#sequences.peek(packet.sequenceNumber),
      timestamp: this.#timestamps.peek(packet.timestamp),
      arrivalMs: nowMs,
    };
    if (!this.#belongs(entry, measure)) return false;
    if (!packet.redundant) {
      this.#sequences.unwrap(packet.sequenceNumber);
      this.#timestamps.unwrap(packet.timestamp);
    }
    const late = this.#expected !== undefined && entry.timestamp < this.#expected;
    const place = this.#placeOf(entry.timestamp);
    const duplicate = !late && this.#entries[place - 1]?.timestamp === entry.timestamp;
    if (measure && !duplicate && !(late && packet.redundant)) this.#measure(entry);
    if (late || duplicate) {
      if (!packet.redundant) this.#stats[late ? 'late' : 'duplicates']++;
      return false;
    }
    this.#entries.splice(place, 0, entry);
    if (this.#entries.length > limits.jitterBufferPackets.value) this.#discard(1);
    return true;
  }

  /** Decides what to play at `nowMs`. Made-up audio must be reported by `filled`. */
  next(nowMs: number): PlayoutDecision {
    if (this.#expected === undefined) return this.#begin(nowMs);
    const head = this.#entries[0];
    if (!head) return this.#starve();
    const gap = head.timestamp - this.#expected;
    if (gap <= 0) return this.#play(nowMs);
    return head.sequence - this.#lastSequence <= 1 ? this.#bridge(head, nowMs) : this.#fill(gap, nowMs);
  }

  /** Says that `samples` of made-up audio were played. */
  filled(samples: number): void {
    this.#filled += samples;
  }

  /** Drops what is waiting, for example when nobody listens; playout restarts with the next packet. */
  clear(): void {
    this.#entries = [];
    this.#expected = undefined;
    this.#filled = 0;
  }

  /** Begins another source's timeline; what is known of the network's delays stays. */
  restart(): void {
    this.clear();
    this.#timestamps = new Unwrapper(32);
    this.#sequences = new Unwrapper(16);
    this.#suspect = undefined;
    this.#delay.startTimeline();
  }

  get stats(): JitterBufferStats {
    const newest = this.#entries.at(-1);
    const from = this.#expected ?? this.#entries[0]?.timestamp ?? 0;
    return {
      ...this.#stats,
      targetDelayMs: this.#delay.targetMs,
      bufferedMs: newest ? (newest.timestamp + newest.packet.samples - from) / this.#unitsPerMs : 0,
    };
  }

  /** False for a packet that is far from where it should be, until a second one shows that time itself has jumped. */
  #belongs(entry: Entry, measure: boolean): boolean {
    const minTransitMs = this.#delay.minTransitMs;
    if (minTransitMs === undefined || !measure) return true;
    if (Math.abs(this.#transitMs(entry) - minTransitMs) < resetMs) {
      this.#suspect = undefined;
      return true;
    }
    if (entry.packet.redundant) return false;
    const suspect = this.#suspect;
    this.#suspect = entry;
    if (!suspect || Math.abs(this.#transitMs(entry) - this.#transitMs(suspect)) > resetMs) return false;
    this.#suspect = undefined;
    this.#stats.resets++;
    this.#delay.startTimeline();
    this.clear();
    return true;
  }

  #transitMs(entry: Entry): number {
    return entry.arrivalMs - entry.timestamp / this.#unitsPerMs;
  }

  #measure(entry: Entry): void {
    const counts = entry.arrivalMs - this.#lastArrivalMs >= burstMs;
    this.#lastArrivalMs = entry.arrivalMs;
    this.#delay.observe(this.#transitMs(entry), entry.arrivalMs, counts);
  }

  /** Index after the last entry that is not later. */
  #placeOf(timestamp: number): number {
    let place = this.#entries.length;
    while (place > 0 && this.#entries[place - 1]!.timestamp > timestamp) place--;
    return place;
  }

  #begin(nowMs: number): PlayoutDecision {
    const head = this.#entries[0];
    if (!head || nowMs < this.#idealMs(head)) return { kind: 'silence' };
    return this.#play(nowMs);
  }

  /** When a packet should be played, given the delay that is aimed for. */
  #idealMs(entry: Entry): number {
    const minTransitMs = this.#delay.minTransitMs ?? this.#transitMs(entry);
    return entry.timestamp / this.#unitsPerMs + minTransitMs + this.#delay.targetMs - 10;
  }

  #play(nowMs: number): PlayoutDecision {
    let excessMs = this.#excessMs(this.#entries[0]!, nowMs);
    if (excessMs > maxExcessMs) {
      const target = this.#entries.findIndex((entry) => this.#excessMs(entry, nowMs) <= 0);
      this.#discard(target < 0 ? this.#entries.length - 1 : target);
      excessMs = this.#excessMs(this.#entries[0]!, nowMs);
    }
    const { packet, sequence, timestamp, arrivalMs } = this.#entries.shift()!;
    this.#expected = timestamp + packet.samples;
    this.#lastSequence = sequence;
    this.#lastWasDtx = packet.dtx;
    this.#filled = 0;
    this.#stats.played++;
    const delayMs = Math.max(0, nowMs - arrivalMs);
    this.#stats.totalDelayMs += delayMs;
    this.#stats.samplesEmitted += packet.samples;
    this.#stats.sampleDelayMs += delayMs * packet.samples;
    this.#stats.sampleTargetDelayMs += this.#delay.targetMs * packet.samples;
    if (packet.redundant) this.#stats.recovered++;
    return { kind: 'packet', packet, excessMs };
  }

  #excessMs(entry: Entry, nowMs: number): number {
    return nowMs - this.#idealMs(entry) - 10;
  }

  #starve(): PlayoutDecision {
    const filledMs = this.#filled / this.#unitsPerMs;
    if (this.#lastWasDtx) return filledMs < comfortMs ? { kind: 'comfort' } : { kind: 'silence' };
    if (filledMs < maxUnderrunMs) return { kind: 'conceal' };
    this.#expected = undefined;
    return { kind: 'silence' };
  }

  /** The sender was silent in between: the pause may be cut or drawn out to get the delay right, and nobody hears it. */
  #bridge(head: Entry, nowMs: number): PlayoutDecision {
    if (nowMs >= this.#idealMs(head)) return this.#play(nowMs);
    return this.#filled / this.#unitsPerMs < comfortMs ? { kind: 'comfort' } : { kind: 'silence' };
  }

  /** Packets are lost: their time is filled, and if they come after all they are late. */
  #fill(gap: number, nowMs: number): PlayoutDecision {
    const covered = Math.min(this.#filled, gap);
    this.#expected! += covered;
    this.#filled -= covered;
    if (covered === gap || gap / this.#unitsPerMs > maxFillMs) return this.#play(nowMs);
    return { kind: 'conceal' };
  }

  #discard(count: number): void {
    this.#entries.splice(0, count);
    this.#stats.discarded += count;
  }
}
