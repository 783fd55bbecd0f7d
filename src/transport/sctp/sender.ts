import { CongestionWindow } from './congestion-window.js';
import { Flight, type SentFragment } from './flight.js';
import {
  chunkHeaderBytes,
  chunkType,
  dataFlag,
  dataHeaderBytes,
  type PacketWriter,
  packetHeaderBytes,
} from './packet.js';
import type { RetransmissionTimeout } from './retransmission-timeout.js';
import { type OutgoingMessage, SendQueue } from './send-queue.js';
import { tsnBefore, tsnPlus } from './serial.js';

const sackFixedBytes = 12;
/** A shorter piece of a message waits for the next packet. */
const minFragmentBytes = 256;

export interface SenderOptions {
  initialTsn: number;
  maxPacketBytes: number;
  timeout: RetransmissionTimeout;
}

/** What happened to the data that was sent. */
export interface SenderCounters {
  sentFragments: number;
  resentFragments: number;
  timeouts: number;
  probes: number;
  fastRecoveries: number;
  abandonedMessages: number;
}

/** The sending half: what may be sent when, what is lost, and what is given up. */
export class Sender {
  readonly queue = new SendQueue();
  readonly flight: Flight;
  readonly window: CongestionWindow;
  readonly counters: SenderCounters = {
    sentFragments: 0,
    resentFragments: 0,
    timeouts: 0,
    probes: 0,
    fastRecoveries: 0,
    abandonedMessages: 0,
  };
  readonly #timeout: RetransmissionTimeout;
  readonly #maxFragmentBytes: number;
  /** Bytes that the peer has room for, as it said last. */
  #peerWindowBytes = 0;
  /** T3-rtx of RFC 9260. */
  timeoutDueMs: number | undefined;
  /** When the oldest fragment is sent again, before the timeout. */
  probeDueMs: number | undefined;
  /** When something was sent or acknowledged last. */
  #lastActiveMs = 0;
  /** Since when data has been outstanding without any acknowledgement. */
  unansweredSinceMs: number | undefined;
  /** One packet may go out beyond the congestion window: the first retransmission of a recovery. */
  #mayExceedWindow = false;
  #peerForwardsTsn = false;
  /** Up to where the peer was asked to skip; undefined when it has followed. */
  #forwardTsn: number | undefined;
  #isForwardDue = false;

  constructor({ initialTsn, maxPacketBytes, timeout }: SenderOptions) {
    this.flight = new Flight(initialTsn);
    this.#timeout = timeout;
    this.#maxFragmentBytes = (maxPacketBytes - packetHeaderBytes - dataHeaderBytes) & ~3;
    this.window = new CongestionWindow(this.#maxFragmentBytes);
  }

  /** What the peer announced when the association came up. */
  start(peerWindowBytes: number, peerForwardsTsn: boolean): void {
    this.#peerWindowBytes = peerWindowBytes;
    this.#peerForwardsTsn = peerForwardsTsn;
  }

  /** Nothing is queued and everything that was sent is acknowledged or skipped. */
  get isDone(): boolean {
    return this.queue.isEmpty && this.flight.count === 0;
  }

  /** The SACK chunk whose body is `packet` from `at` to `end`; false when it breaks the protocol. */
  handleSack(packet: Buffer, at: number, end: number, nowMs: number): boolean {
    if (end - at < sackFixedBytes) return false;
    const cumulativeTsn = packet.readUInt32BE(at);
    const gapCount = packet.readUInt16BE(at + 8);
    const duplicateCount = packet.readUInt16BE(at + 10);
    if (end - at < sackFixedBytes + 4 * (gapCount + duplicateCount)) return false;
    const { flight, window } = this;
    // Late: a newer one came before it.
    if (tsnBefore(cumulativeTsn, flight.cumulativeTsn)) return true;
    const wasFull = flight.outstandingBytes + this.#maxFragmentBytes > window.bytes;
    const smoothedMs = this.#timeout.smoothedMs ?? this.#timeout.valueMs;
    const acknowledgement = flight.acknowledge(
      cumulativeTsn,
      packet,
      at + sackFixedBytes,
      gapCount,
      smoothedMs / 4 + 1,
      window.isRecovering,
      nowMs,
    );
    if (!acknowledgement.isValid) return false;
    const { cumulativeAdvanced, acknowledgedBytes, roundTripMs, lostCount } = acknowledgement;
    this.#peerWindowBytes = packet.readUInt32BE(at + 4);
    if (roundTripMs >= 0) this.#timeout.addSample(roundTripMs);
    else if (cumulativeAdvanced) this.#timeout.resetBackOff();
    if (cumulativeAdvanced)
      window.acknowledge(cumulativeTsn, acknowledgedBytes, wasFull, flight.outstandingBytes === 0);
    if (lostCount > 0) {
      if (window.lose(tsnPlus(flight.nextTsn, -1))) {
        this.#mayExceedWindow = true;
        this.counters.fastRecoveries++;
      }
      this.#abandonExhausted(nowMs);
    }
    if (this.#forwardTsn !== undefined && !tsnBefore(cumulativeTsn, this.#forwardTsn))
      this.#forwardTsn = undefined;
    this.#updateForwardTsn();
    this.unansweredSinceMs = flight.count > 0 ? nowMs : undefined;
    if (flight.count === 0) this.stopTimers();
    else if (cumulativeAdvanced || acknowledgedBytes > 0 || this.timeoutDueMs === undefined)
      this.#startTimers(nowMs);
    return true;
  }

  handleTimeout(nowMs: number): void {
    if (this.timeoutDueMs === undefined) return;
    if (nowMs < this.timeoutDueMs) {
      if (this.probeDueMs !== undefined && nowMs >= this.probeDueMs) this.#probe(nowMs);
      return;
    }
    this.counters.timeouts++;
    this.probeDueMs = undefined;
    this.#timeout.backOff();
    this.timeoutDueMs = nowMs + this.#timeout.valueMs;
    if (this.flight.outstandingBytes > 0) this.window.timeOut();
    this.flight.timeOut();
    this.#abandonExhausted(nowMs);
    this.#updateForwardTsn();
    this.#isForwardDue = this.#forwardTsn !== undefined;
  }

  stopTimers(): void {
    this.timeoutDueMs = undefined;
    this.probeDueMs = undefined;
  }

  #startTimers(nowMs: number): void {
    this.timeoutDueMs = nowMs + this.#timeout.valueMs;
    const { probeMs } = this.#timeout;
    this.probeDueMs = probeMs === undefined ? undefined : nowMs + probeMs;
  }

  /** The last packets of a burst, or the only one, may be lost: no later one tells. Once until something is acknowledged. */
  #probe(nowMs: number): void {
    this.probeDueMs = undefined;
    this.counters.probes++;
    this.flight.loseOldest();
    this.#mayExceedWindow = true;
    this.#abandonExhausted(nowMs);
    this.#updateForwardTsn();
  }

  /** Whether `fill` would add anything to a packet now. */
  hasWork(nowMs: number): boolean {
    if (this.#isForwardDue) return true;
    if (this.flight.lostCount > 0) return this.#mayExceedWindow || this.#hasWindow();
    if (this.queue.isEmpty || !this.#hasWindow()) return false;
    const message = this.queue.next(nowMs);
    return message !== undefined && this.#fitsPeerWindow(message);
  }

  /**
   * Adds to the packet what may be sent: the request to skip abandoned messages, what is lost, new fragments.
   * Runs once for each packet sent with data.
   */
  fill(writer: PacketWriter, nowMs: number): void {
    if (this.#isForwardDue) this.#writeForwardTsn(writer);
    this.#fillLost(writer, nowMs);
    if (this.flight.lostCount === 0) this.#fillNew(writer, nowMs);
  }

  #fillLost(writer: PacketWriter, nowMs: number): void {
    while (this.#mayExceedWindow || this.#hasWindow()) {
      const fragment = this.flight.nextLost();
      if (fragment === undefined) {
        this.#mayExceedWindow = false;
        return;
      }
      if (fragment.message.expiresAtMs <= nowMs && this.#peerForwardsTsn) {
        this.#abandon(fragment.message);
        this.#updateForwardTsn();
        continue;
      }
      if (writer.roomBytes < dataHeaderBytes + fragment.end - fragment.start) return;
      this.#mayExceedWindow = false;
      this.flight.resend(fragment, nowMs);
      this.counters.resentFragments++;
      this.#write(writer, fragment, true);
      // The oldest one is under way again: the timeout is counted from now (RFC 9260 section 6.3.2 R4).
      if (fragment === this.flight.oldest || this.timeoutDueMs === undefined)
        this.timeoutDueMs = nowMs + this.#timeout.valueMs;
    }
  }

  #fillNew(writer: PacketWriter, nowMs: number): void {
    while (!this.queue.isEmpty && this.#hasWindow()) {
      const message = this.queue.next(nowMs);
      if (message === undefined || !this.#fitsPeerWindow(message)) return;
      if (message.expiresAtMs <= nowMs && this.#peerForwardsTsn) {
        this.#abandon(message);
        this.#updateForwardTsn();
        continue;
      }
      const start = message.sentBytes;
      const restBytes = message.bytes.length - start;
      const roomBytes = (writer.roomBytes - dataHeaderBytes) & ~3;
      // Messages share a packet, but one that fits into a packet of its own is not cut for that.
      const isCut = restBytes > roomBytes;
      if (isCut && !writer.isEmpty && (restBytes <= this.#maxFragmentBytes || roomBytes < minFragmentBytes))
        return;
      const byteCount = Math.min(restBytes, roomBytes);
      if (this.flight.count === 0) this.#wakeUp(nowMs);
      if (start === 0 && message.isOrdered) {
        message.ssn = message.stream.nextSsn;
        message.stream.nextSsn = (message.ssn + 1) & 0xffff;
      }
      const fragment = this.flight.add(message, start, start + byteCount, nowMs);
      this.queue.sent(message, byteCount);
      this.counters.sentFragments++;
      this.#write(writer, fragment, this.queue.isEmpty || !this.#hasWindow());
      if (this.timeoutDueMs === undefined) this.#startTimers(nowMs);
      this.unansweredSinceMs ??= nowMs;
      this.#lastActiveMs = nowMs;
    }
  }

  #wakeUp(nowMs: number): void {
    if (nowMs - this.#lastActiveMs > this.#timeout.valueMs) this.window.restartAfterIdle();
  }

  #hasWindow(): boolean {
    return this.flight.outstandingBytes < this.window.bytes;
  }

  /** With nothing in flight one fragment goes out whatever the window says: it asks whether there is room again. */
  #fitsPeerWindow(message: OutgoingMessage): boolean {
    const byteCount = Math.min(message.bytes.length - message.sentBytes, this.#maxFragmentBytes);
    return this.flight.count === 0 || this.flight.outstandingBytes + byteCount <= this.#peerWindowBytes;
  }

  #write(writer: PacketWriter, fragment: SentFragment, isUrgent: boolean): void {
    const { message, start, end } = fragment;
    const flags =
      (start === 0 ? dataFlag.begin : 0) |
      (end === message.bytes.length ? dataFlag.end : 0) |
      (message.isOrdered ? 0 : dataFlag.unordered) |
      (isUrgent ? dataFlag.immediate : 0);
    const at = writer.add(chunkType.data, flags, dataHeaderBytes - chunkHeaderBytes + end - start);
    const buffer = writer.buffer;
    buffer.writeUInt32BE(fragment.tsn, at);
    buffer.writeUInt16BE(message.stream.id, at + 4);
    buffer.writeUInt16BE(message.ssn, at + 6);
    buffer.writeUInt32BE(message.ppid, at + 8);
    buffer.set(
      start === 0 && end === message.bytes.length ? message.bytes : message.bytes.subarray(start, end),
      at + 12,
    );
  }

  /** Gives up lost fragments that were sent as often as their message allows, or too late. */
  #abandonExhausted(nowMs: number): void {
    if (!this.#peerForwardsTsn) return;
    for (const { message, transmissions } of this.flight.lost())
      if (!message.isAbandoned && (transmissions > message.maxRetransmits || message.expiresAtMs <= nowMs))
        this.#abandon(message);
  }

  #abandon(message: OutgoingMessage): void {
    this.counters.abandonedMessages++;
    this.flight.abandon(message);
    this.queue.dropRest(message);
  }

  #updateForwardTsn(): void {
    if (!this.#peerForwardsTsn) return;
    let last: SentFragment | undefined;
    for (last of this.flight.leadingAbandoned());
    if (last === undefined || (this.#forwardTsn !== undefined && !tsnBefore(this.#forwardTsn, last.tsn)))
      return;
    this.#forwardTsn = last.tsn;
    this.#isForwardDue = true;
  }

  /** FORWARD TSN (RFC 3758 section 3.2): up to which TSN to skip, and up to which message of each ordered stream. */
  #writeForwardTsn(writer: PacketWriter): void {
    const limit = Math.floor((writer.roomBytes - 8) / 4);
    // Control chunks have filled the packet: it goes into the next one.
    if (limit < 0) return;
    this.#isForwardDue = false;
    const skipped = new Map<number, number>();
    let tsn: number | undefined;
    for (const fragment of this.flight.leadingAbandoned()) {
      const { isOrdered, stream, ssn } = fragment.message;
      if (isOrdered) {
        if (!skipped.has(stream.id) && skipped.size >= limit) break;
        skipped.set(stream.id, ssn);
      }
      tsn = fragment.tsn;
    }
    if (tsn === undefined) return;
    const at = writer.add(chunkType.forwardTsn, 0, 4 + 4 * skipped.size);
    writer.buffer.writeUInt32BE(tsn, at);
    let offset = at + 4;
    for (const [streamId, ssn] of skipped) {
      writer.buffer.writeUInt16BE(streamId, offset);
      writer.buffer.writeUInt16BE(ssn, offset + 2);
      offset += 4;
    }
  }
}
