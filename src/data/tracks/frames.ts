import { limits } from '../../limits.js';
import { DataTrackError } from './error.js';
import {
  type TrackPacket,
  type TrackPacketEncryption,
  trackHeaderBytes,
  writeTrackPacket,
} from './packet.js';

/** A frame as its program has it. */
export interface DataTrackFrame {
  payload: Uint8Array;
  /** 64 bits of the program's own, a time of capture for example. */
  userTimestamp?: bigint | undefined;
}

/** A frame on its way: its payload is encrypted where `encryption` says how. */
export interface SealedTrackFrame {
  payload: Uint8Array;
  userTimestamp: bigint | undefined;
  encryption: TrackPacketEncryption | undefined;
}

/** As LiveKit's other clients: with SCTP's own headers within the 16 KiB that every peer takes. */
const packetBytes = 16_000;
/** LiveKit's other clients put no longer frame together. */
const maxPackets = 128;
const clockHz = 90_000;
const uint16 = 0xffff;

/** Cuts the frames of one published track into packets. */
export class TrackPacketizer {
  readonly #handle: number;
  readonly #nowMs: () => number;
  readonly #firstTimestamp: number;
  readonly #startedMs: number;
  #sequence = 0;
  #frameNumber = 0;

  /** @param random 0 to 1 */
  constructor(handle: number, { random = Math.random, nowMs = () => performance.now() } = {}) {
    this.#handle = handle;
    this.#nowMs = nowMs;
    this.#startedMs = nowMs();
    this.#firstTimestamp = Math.floor(random() * 2 ** 32);
  }

  /**
   * The packets of a frame; none for an empty one, as with LiveKit's other clients.
   *
   * @throws DataTrackError `internal` for a frame that no receiver would put together
   */
  packetize({ payload, ...header }: SealedTrackFrame): Buffer[] {
    const chunkBytes = packetBytes - trackHeaderBytes(header);
    const count = Math.ceil(payload.length / chunkBytes);
    if (count > maxPackets) {
      const most = maxPackets * chunkBytes;
      throw new DataTrackError(
        'internal',
        `a frame of ${payload.length} bytes is too long: receivers put together ${most} at most`,
      );
    }
    const elapsed = Math.round(((this.#nowMs() - this.#startedMs) * clockHz) / 1_000);
    const timestamp = (this.#firstTimestamp + elapsed) % 2 ** 32;
    const frameNumber = this.#frameNumber;
    this.#frameNumber = (frameNumber + 1) & uint16;
    return Array.from({ length: count }, (_, index) => {
      const sequence = this.#sequence;
      this.#sequence = (sequence + 1) & uint16;
      return writeTrackPacket({
        ...header,
        position: positionAt(index, count),
        handle: this.#handle,
        sequence,
        frameNumber,
        timestamp,
        payload: payload.subarray(index * chunkBytes, (index + 1) * chunkBytes),
      });
    });
  }
}

function positionAt(index: number, count: number): TrackPacket['position'] {
  if (count === 1) return 'single';
  if (index === 0) return 'start';
  return index === count - 1 ? 'final' : 'middle';
}

interface PartialFrame {
  start: TrackPacket;
  /** By sequence number. */
  payloads: Map<number, Uint8Array>;
  bytes: number;
}

/** Puts the frames of one track together again. A frame that lacks a packet is dropped. */
export class TrackDepacketizer {
  /** Frames that are put together at once: more tolerate more disorder. A further one drops the oldest. */
  maxPartialFrames = 1;
  #onDrop: (reason: string) => void;
  /** By frame number, the oldest first. */
  #partials = new Map<number, PartialFrame>();

  constructor(onDrop: (reason: string) => void) {
    this.#onDrop = onDrop;
  }

  /** Once for each packet. The frame that it completes, if it does. */
  push(packet: TrackPacket): SealedTrackFrame | undefined {
    const { frameNumber, position } = packet;
    if (position === 'single') {
      if (this.#partials.size >= this.maxPartialFrames) this.#dropOldest(frameNumber);
      return frameOf(packet, packet.payload);
    }
    if (position === 'start') {
      while (this.#partials.size >= this.maxPartialFrames) this.#dropOldest(frameNumber);
      const { payload } = packet;
      const payloads = new Map([[packet.sequence, payload]]);
      this.#partials.set(frameNumber, { start: packet, payloads, bytes: payload.length });
      return undefined;
    }
    return this.#continue(packet);
  }

  #continue({ frameNumber, sequence, position, payload }: TrackPacket): SealedTrackFrame | undefined {
    const partial = this.#partials.get(frameNumber);
    if (!partial) {
      this.#onDrop(`frame ${frameNumber}: its first packet did not come`);
      return undefined;
    }
    const { payloads } = partial;
    partial.bytes += payload.length - (payloads.get(sequence)?.length ?? 0);
    if (payloads.size >= maxPackets || partial.bytes > limits.dataTrackFrame.value) {
      this.#partials.delete(frameNumber);
      this.#onDrop(`frame ${frameNumber}: it is too long`);
      return undefined;
    }
    payloads.set(sequence, payload);
    if (position !== 'final') return undefined;
    this.#partials.delete(frameNumber);
    const expected = ((sequence - partial.start.sequence) & uint16) + 1;
    const whole = Array.from({ length: Math.min(expected, payloads.size) }, (_, index) =>
      payloads.get((partial.start.sequence + index) & uint16),
    );
    if (whole.length < expected || whole.includes(undefined)) {
      this.#onDrop(`frame ${frameNumber}: ${payloads.size} of ${expected} packets came`);
      return undefined;
    }
    return frameOf(partial.start, Buffer.concat(whole as Uint8Array[]));
  }

  #dropOldest(newFrame: number): void {
    const [oldest] = this.#partials.keys();
    if (oldest === undefined) return;
    this.#partials.delete(oldest);
    this.#onDrop(`frame ${oldest}: frame ${newFrame} began before its end`);
  }
}

function frameOf({ encryption, userTimestamp }: TrackPacket, payload: Uint8Array): SealedTrackFrame {
  return { encryption, userTimestamp, payload };
}
