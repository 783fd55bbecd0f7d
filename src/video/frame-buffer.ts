import { type RtpPacket, Unwrapper } from '../rtp/index.js';
import type { PayloadFormat, PayloadPart } from './payload/payload-format.js';

/** A whole encoded frame as it was sent. */
export interface EncodedFrame {
  data: Buffer;
  isKeyFrame: boolean;
  /** RTP timestamp, 90 kHz, unwrapped. */
  timestamp: number;
  /** When its first and its last packet came. */
  firstPacketMs: number;
  completeMs: number;
}

export interface FrameBufferOptions {
  format: PayloadFormat;
  /** Takes frames in decoding order: each is preceded by all that it was made from, since the last key frame. */
  onFrame(frame: EncodedFrame): void;
  /** Asks for packets again, by their 16-bit sequence numbers. */
  onMissing(sequenceNumbers: number[]): void;
  /** Asks for a key frame: what came is of no use without one. */
  onKeyFrameNeeded(): void;
}

export interface FrameBufferStats {
  framesReceived: number;
  keyFramesReceived: number;
  /** Given up: a packet never came, or a key frame came first. */
  framesDropped: number;
  /** Frames of more than one packet, and the sum of the times between the first and the last of them. */
  framesOfSeveralPackets: number;
  totalAssemblyMs: number;
  nackCount: number;
  pliCount: number;
}

interface Stored {
  payload: Buffer;
  part: PayloadPart;
  marker: boolean;
  timestamp: number;
  arrivedMs: number;
}

interface Missing {
  /** Reordered packets come by themselves: a packet is asked for only when it is late. */
  dueMs: number;
  requests: number;
}

/** Packets of about two seconds of video at 5 Mbit/s; what is older than that is of no use to a conversation. */
const maxPackets = 2_048;
const maxMissing = 500;
const maxRequests = 8;
const reorderMs = 10;
const minRetryMs = 25;
/** How long frames wait for a packet that was asked for, before a key frame is asked for instead. */
const giveUpMs = 400;
const keyFrameRetryMs = 500;
/** How long frames wait when a newer key frame makes them superfluous. */
const passMs = 50;

/**
 * Puts received packets in order, asks again for those that are missing, and hands over whole frames that can be
 * decoded. Pure: packets and time in, frames and requests out; `tick` is to be called every 10 to 50 ms.
 */
export class FrameBuffer {
  readonly stats: FrameBufferStats = {
    framesReceived: 0,
    keyFramesReceived: 0,
    framesDropped: 0,
    framesOfSeveralPackets: 0,
    totalAssemblyMs: 0,
    nackCount: 0,
    pliCount: 0,
  };
  readonly #options: FrameBufferOptions;
  readonly #sequences = new Unwrapper(16);
  readonly #timestamps = new Unwrapper(32);
  /** By unwrapped sequence number. */
  readonly #packets = new Map<number, Stored>();
  readonly #missing = new Map<number, Missing>();
  #highest: number | undefined;
  /** The first packet of the next frame to hand over; undefined until a key frame begins. */
  #next: number | undefined;
  /** The first packet of the newest key frame that is not handed over yet. */
  #keyFrame: number | undefined;
  #waitsForKeyFrame = true;
  #keyFrameAskedMs: number | undefined;
  #blockedSinceMs: number | undefined;

  constructor(options: FrameBufferOptions) {
    this.#options = options;
  }

  /** Once for each received packet of the stream, repaired ones too. */
  insert(packet: RtpPacket, nowMs: number, roundTripMs: number): void {
    // Padding, which probes for bandwidth, takes sequence numbers and holds nothing.
    const part = packet.payload.length > 0 ? this.#options.format.parse(packet.payload) : undefined;
    const sequence = this.#sequences.peek(packet.sequenceNumber);
    if (this.#next !== undefined && sequence < this.#next) return;
    // What came first holds: another packet of the same number must not take the place of a key frame's beginning.
    if (this.#packets.has(sequence)) return;
    if (this.#isJump(sequence)) this.#restart();
    this.#note(packet, sequence, nowMs);
    this.#missing.delete(sequence);
    if (part?.isFrameStart && part.isKeyFrame && sequence > (this.#keyFrame ?? -Infinity))
      this.#keyFrame = sequence;
    if (part) {
      this.#packets.set(sequence, {
        payload: packet.payload,
        part,
        marker: packet.marker,
        timestamp: this.#timestamps.unwrap(packet.timestamp),
        arrivedMs: nowMs,
      });
    } else this.#fill(sequence);
    this.#bound();
    this.#deliver(nowMs);
    this.#ask(nowMs, roundTripMs);
  }

  /** Asks again for what is still missing, and gives up on what is missing for too long. */
  tick(nowMs: number, roundTripMs: number): void {
    this.#ask(nowMs, roundTripMs);
    if (this.#blockedSinceMs !== undefined && nowMs - this.#blockedSinceMs > giveUpMs) this.#giveUp();
    this.#deliver(nowMs);
    if (this.#waitsForKeyFrame && this.#highest !== undefined) this.#askForKeyFrame(nowMs);
  }

  /** What was received before cannot be decoded: begin again with a key frame. */
  needKeyFrame(nowMs: number): void {
    this.#giveUp();
    this.#keyFrameAskedMs = undefined;
    this.#askForKeyFrame(nowMs);
  }

  /** Far from everything that came before: the sender has begun again. */
  #isJump(sequence: number): boolean {
    return this.#highest !== undefined && Math.abs(sequence - this.#highest) > maxPackets;
  }

  #restart(): void {
    this.#packets.clear();
    this.#missing.clear();
    this.#highest = undefined;
    this.#next = undefined;
    this.#keyFrame = undefined;
    this.#waitsForKeyFrame = true;
    this.#blockedSinceMs = undefined;
  }

  #note({ sequenceNumber }: RtpPacket, sequence: number, nowMs: number): void {
    const highest = this.#highest;
    if (highest !== undefined && sequence <= highest) return;
    this.#sequences.unwrap(sequenceNumber);
    this.#highest = sequence;
    if (highest === undefined) return;
    if (sequence - highest + this.#missing.size > maxMissing) {
      this.#giveUp();
      return;
    }
    for (let missing = highest + 1; missing < sequence; missing++) {
      this.#missing.set(missing, { dueMs: nowMs + reorderMs, requests: 0 });
    }
  }

  /** A packet without content belongs to no frame. */
  #fill(sequence: number): void {
    if (this.#next === sequence) this.#next = sequence + 1;
    else this.#packets.set(sequence, emptyPacket);
  }

  #bound(): void {
    for (const [sequence] of this.#packets) {
      if (this.#packets.size <= maxPackets) return;
      this.#packets.delete(sequence);
    }
  }

  #deliver(nowMs: number): void {
    if (this.#isPassed(nowMs)) this.#giveUp();
    if (this.#waitsForKeyFrame && !this.#beginAtKeyFrame()) return;
    for (;;) {
      while (this.#next !== undefined && this.#packets.get(this.#next) === emptyPacket) {
        this.#packets.delete(this.#next++);
      }
      const frame = this.#takeFrame();
      if (!frame) break;
      this.#blockedSinceMs = undefined;
      this.stats.framesReceived++;
      if (frame.isKeyFrame) this.stats.keyFramesReceived++;
      this.#options.onFrame(frame);
    }
    if (this.#missing.size === 0) this.#blockedSinceMs = undefined;
    else if (!this.#waitsForKeyFrame) this.#blockedSinceMs ??= nowMs;
  }

  /** A newer key frame is there, and what comes before it waits for a packet that may never come. */
  #isPassed(nowMs: number): boolean {
    return (
      this.#next !== undefined &&
      (this.#keyFrame ?? -Infinity) > this.#next &&
      this.#blockedSinceMs !== undefined &&
      nowMs - this.#blockedSinceMs > passMs
    );
  }

  #beginAtKeyFrame(): boolean {
    const begin = this.#keyFrame;
    if (begin === undefined) return false;
    for (const sequence of this.#packets.keys()) if (sequence < begin) this.#packets.delete(sequence);
    for (const sequence of this.#missing.keys()) if (sequence < begin) this.#missing.delete(sequence);
    this.#next = begin;
    this.#keyFrame = undefined;
    this.#waitsForKeyFrame = false;
    this.#keyFrameAskedMs = undefined;
    return true;
  }

  /** The frame that begins with the next packet, once all of it is there. */
  #takeFrame(): EncodedFrame | undefined {
    const begin = this.#next;
    const first = begin === undefined ? undefined : this.#packets.get(begin);
    if (begin === undefined || !first) return undefined;
    let end = begin;
    let completeMs = first.arrivedMs;
    for (;;) {
      const packet = this.#packets.get(end);
      if (!packet) return undefined;
      // A sender that sets no marker ends a frame by beginning the next.
      if (packet !== emptyPacket && packet.timestamp !== first.timestamp) {
        end--;
        break;
      }
      completeMs = Math.max(completeMs, packet.arrivedMs);
      if (packet.marker) break;
      end++;
    }
    const payloads: Buffer[] = [];
    for (let sequence = begin; sequence <= end; sequence++) {
      const packet = this.#packets.get(sequence) as Stored;
      if (packet !== emptyPacket) payloads.push(packet.payload);
      this.#packets.delete(sequence);
    }
    this.#next = end + 1;
    if (this.#keyFrame !== undefined && this.#keyFrame < this.#next) this.#keyFrame = undefined;
    const data = this.#options.format.assemble(payloads);
    if (!data) {
      this.#giveUp();
      return undefined;
    }
    const { timestamp, arrivedMs: firstPacketMs } = first;
    if (end > begin) {
      this.stats.framesOfSeveralPackets++;
      this.stats.totalAssemblyMs += completeMs - firstPacketMs;
    }
    return { data, isKeyFrame: first.part.isKeyFrame, timestamp, firstPacketMs, completeMs };
  }

  #ask(nowMs: number, roundTripMs: number): void {
    const due: number[] = [];
    for (const [sequence, missing] of this.#missing) {
      if (this.#next !== undefined && sequence < this.#next) {
        this.#missing.delete(sequence);
        continue;
      }
      if (this.#waitsForKeyFrame || nowMs < missing.dueMs || missing.requests >= maxRequests) continue;
      missing.requests++;
      missing.dueMs = nowMs + Math.max(minRetryMs, roundTripMs * 1.25);
      due.push(sequence & 0xffff);
    }
    if (due.length === 0) return;
    this.stats.nackCount++;
    this.#options.onMissing(due);
  }

  #giveUp(): void {
    if (!this.#waitsForKeyFrame) this.stats.framesDropped++;
    this.#waitsForKeyFrame = true;
    this.#next = undefined;
    this.#blockedSinceMs = undefined;
    this.#missing.clear();
  }

  #askForKeyFrame(nowMs: number): void {
    if (this.#keyFrameAskedMs !== undefined && nowMs - this.#keyFrameAskedMs < keyFrameRetryMs) return;
    this.#keyFrameAskedMs = nowMs;
    this.stats.pliCount++;
    this.#options.onKeyFrameNeeded();
  }
}

const emptyPacket: Stored = {
  payload: Buffer.alloc(0),
  part: { isFrameStart: false, isKeyFrame: false },
  marker: false,
  timestamp: Number.NaN,
  arrivedMs: 0,
};
