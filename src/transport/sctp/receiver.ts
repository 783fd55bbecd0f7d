import { limits } from '../../limits.js';
import { chunkHeaderBytes, chunkType, type PacketWriter } from './packet.js';
import { Reassembly } from './reassembly.js';
import { tsnBefore, tsnDistance, tsnPlus } from './serial.js';

/** TSNs after the cumulative one that are taken. */
const trackedTsns = limits.sctpTsns.value;
const wordCount = trackedTsns / 32;
const maxGapBlocks = 200;
const maxDuplicates = 20;
const sackFixedBytes = 12;

/**
 * How long the acknowledgement of a single packet waits for data that it can travel with. Short against the peer's
 * retransmission timeout, long against the answer of a program that is called at once.
 */
const sackDelayMs = 20;
/** The same when the peer asks to hear at once (RFC 7053), because it has nothing more to send. */
const urgentSackDelayMs = 5;

export interface ReceiverOptions {
  initialTsn: number;
  /** Bytes of incomplete or unordered messages that are held at most. */
  windowBytes: number;
  maxMessageBytes: number;
  onMessage(streamId: number, ppid: number, bytes: Buffer): void;
}

export type DataOutcome = 'taken' | 'dropped' | 'overrun';

/** The receiving half: which TSNs came, what to acknowledge and when, and the messages. */
export class Receiver {
  readonly reassembly: Reassembly;
  readonly #windowBytes: number;
  readonly #hardLimitBytes: number;
  /** All TSNs up to this one were received. */
  #cumulativeTsn: number;
  #highestTsn: number;
  /** Bit `tsn mod 16384` is set for TSNs after the cumulative one that were received. */
  readonly #received = new Uint32Array(wordCount);
  readonly #duplicates: number[] = [];
  #packetsToAcknowledge = 0;
  #isSackUrgent = false;
  #hasNewData = false;
  /** Bytes of messages that were delivered and that their receiver has not dealt with yet. */
  withheldBytes = 0;
  sackDueMs: number | undefined;
  droppedCount = 0;

  constructor({ initialTsn, windowBytes, maxMessageBytes, onMessage }: ReceiverOptions) {
    this.#cumulativeTsn = tsnPlus(initialTsn, -1);
    this.#highestTsn = this.#cumulativeTsn;
    this.#windowBytes = windowBytes;
    this.#hardLimitBytes = windowBytes + maxMessageBytes;
    this.reassembly = new Reassembly(maxMessageBytes, onMessage);
  }

  get cumulativeTsn(): number {
    return this.#cumulativeTsn;
  }

  get windowBytes(): number {
    return Math.max(0, this.#windowBytes - this.reassembly.heldBytes - this.withheldBytes);
  }

  /** The receiver has dealt with messages: a peer that waits for room is told of it at once. */
  announceWindow(nowMs: number): void {
    this.sackDueMs = nowMs;
  }

  /**
   * Takes a DATA chunk. `overrun`: the peer holds more incomplete messages open than any peer that keeps the rules can.
   * Runs once for each chunk received.
   */
  data(
    tsn: number,
    flags: number,
    streamId: number,
    ssn: number,
    ppid: number,
    payload: Buffer,
  ): DataOutcome {
    this.#hasNewData = true;
    const ahead = tsnDistance(this.#cumulativeTsn, tsn);
    if (ahead <= 0 || (ahead > 1 && this.#has(tsn))) {
      if (this.#duplicates.length < maxDuplicates) this.#duplicates.push(tsn);
      this.#isSackUrgent = true;
      return 'dropped';
    }
    // What comes next is taken even when there is no room: it may be what completes a message.
    const isBeyond =
      ahead > 1 && (ahead > trackedTsns || this.reassembly.heldBytes + payload.length > this.#windowBytes);
    if (isBeyond || this.withheldBytes >= this.#windowBytes) {
      this.droppedCount++;
      this.#isSackUrgent = true;
      return 'dropped';
    }
    if (this.reassembly.heldBytes > this.#hardLimitBytes) return 'overrun';
    if (ahead === 1 && this.#highestTsn === this.#cumulativeTsn) {
      this.#cumulativeTsn = tsn;
      this.#highestTsn = tsn;
    } else {
      this.#received[(tsn >>> 5) & (wordCount - 1)]! |= 1 << (tsn & 31);
      if (tsnBefore(this.#highestTsn, tsn)) this.#highestTsn = tsn;
      this.#advance();
      // A gap, or the end of one: the peer's loss detection lives from hearing of it.
      this.#isSackUrgent = true;
    }
    this.reassembly.add(tsn, flags, streamId, ssn, ppid, payload);
    return 'taken';
  }

  /** The TSN of a chunk whose content is of no use, such as one for a stream that does not exist. */
  discard(tsn: number): void {
    const ahead = tsnDistance(this.#cumulativeTsn, tsn);
    this.#hasNewData = true;
    if (ahead <= 0 || ahead > trackedTsns) return;
    this.#received[(tsn >>> 5) & (wordCount - 1)]! |= 1 << (tsn & 31);
    if (tsnBefore(this.#highestTsn, tsn)) this.#highestTsn = tsn;
    this.#advance();
  }

  /** FORWARD TSN (RFC 3758 section 3.6): the peer gives up what it has not delivered up to `tsn`. */
  forward(tsn: number, skipped: readonly { streamId: number; ssn: number }[]): void {
    this.#hasNewData = true;
    this.#isSackUrgent = true;
    const ahead = tsnDistance(this.#cumulativeTsn, tsn);
    if (ahead <= 0) return;
    if (tsnBefore(tsn, this.#highestTsn))
      for (let passed = 1; passed <= ahead; passed++) this.#clear(tsnPlus(this.#cumulativeTsn, passed));
    else if (this.#highestTsn !== this.#cumulativeTsn) this.#received.fill(0);
    this.#cumulativeTsn = tsn;
    if (tsnBefore(this.#highestTsn, tsn)) this.#highestTsn = tsn;
    this.#advance();
    this.reassembly.dropThrough(tsn);
    for (const { streamId, ssn } of skipped) this.reassembly.skipThrough(streamId, ssn);
  }

  /** Call after the chunks of a packet. `askedForSack` when one of them had the immediate flag. */
  endPacket(askedForSack: boolean, nowMs: number): void {
    if (!this.#hasNewData) return;
    this.#hasNewData = false;
    this.#packetsToAcknowledge++;
    if (this.#isSackUrgent || this.#packetsToAcknowledge >= 2) this.sackDueMs = nowMs;
    else this.sackDueMs = nowMs + (askedForSack ? urgentSackDelayMs : sackDelayMs);
  }

  /**
   * Adds a SACK to the packet, with as many gaps and duplicates as there is room for. In a packet that control chunks have
   * filled there is none: the SACK stays due.
   */
  writeSack(writer: PacketWriter): void {
    const roomBytes = writer.roomBytes - chunkHeaderBytes - sackFixedBytes;
    if (roomBytes < 0) return;
    const gaps = this.#gapBlocks(Math.min(maxGapBlocks, Math.floor(roomBytes / 4)));
    const duplicateCount = Math.min(
      this.#duplicates.length,
      Math.max(0, Math.floor((roomBytes - 2 * gaps.length) / 4)),
    );
    const at = writer.add(chunkType.sack, 0, sackFixedBytes + 2 * gaps.length + 4 * duplicateCount);
    const buffer = writer.buffer;
    buffer.writeUInt32BE(this.#cumulativeTsn, at);
    buffer.writeUInt32BE(this.windowBytes, at + 4);
    buffer.writeUInt16BE(gaps.length / 2, at + 8);
    buffer.writeUInt16BE(duplicateCount, at + 10);
    let offset = at + sackFixedBytes;
    for (const edge of gaps) {
      buffer.writeUInt16BE(edge, offset);
      offset += 2;
    }
    for (let i = 0; i < duplicateCount; i++, offset += 4) buffer.writeUInt32BE(this.#duplicates[i]!, offset);
    this.#duplicates.length = 0;
    this.#packetsToAcknowledge = 0;
    this.#isSackUrgent = false;
    this.sackDueMs = undefined;
  }

  #has(tsn: number): boolean {
    return (
      !tsnBefore(this.#highestTsn, tsn) &&
      (this.#received[(tsn >>> 5) & (wordCount - 1)]! & (1 << (tsn & 31))) !== 0
    );
  }

  #clear(tsn: number): void {
    this.#received[(tsn >>> 5) & (wordCount - 1)]! &= ~(1 << (tsn & 31));
  }

  /** Moves the cumulative TSN over what follows it without a gap. */
  #advance(): void {
    while (this.#cumulativeTsn !== this.#highestTsn) {
      const next = tsnPlus(this.#cumulativeTsn, 1);
      if ((this.#received[(next >>> 5) & (wordCount - 1)]! & (1 << (next & 31))) === 0) return;
      this.#clear(next);
      this.#cumulativeTsn = next;
    }
  }

  /** First and last offset, from the cumulative TSN, of each run of received TSNs. */
  #gapBlocks(limit: number): number[] {
    const edges: number[] = [];
    const count = tsnDistance(this.#cumulativeTsn, this.#highestTsn);
    let start = 0;
    for (let offset = 2; offset <= count + 1 && edges.length < 2 * limit; offset++) {
      const tsn = tsnPlus(this.#cumulativeTsn, offset);
      const word = this.#received[(tsn >>> 5) & (wordCount - 1)]!;
      // 32 at a time where nothing changes, so that a large gap costs a peer's victim little.
      if ((tsn & 31) === 0 && offset + 31 <= count && word === (start === 0 ? 0 : 0xffff_ffff)) {
        offset += 31;
        continue;
      }
      const isReceived = offset <= count && (word & (1 << (tsn & 31))) !== 0;
      if (isReceived && start === 0) start = offset;
      else if (!isReceived && start !== 0) {
        edges.push(start, offset - 1);
        start = 0;
      }
    }
    return edges;
  }
}
