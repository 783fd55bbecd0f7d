import type { OutgoingMessage } from './send-queue.js';
import { tsnBefore, tsnDistance, tsnPlus } from './serial.js';

/** A fragment that was sent and whose TSN the peer has not acknowledged cumulatively. */
export interface SentFragment {
  readonly tsn: number;
  readonly message: OutgoingMessage;
  /** The fragment is the message's bytes from `start` to `end`. */
  readonly start: number;
  readonly end: number;
  state: 'in flight' | 'acknowledged' | 'lost' | 'abandoned';
  transmissions: number;
  sentAtMs: number;
  /** Acknowledgements of later fragments in which this one was missing. */
  missed: number;
}

/** What a SACK changed; one object that is filled again for each. */
export interface Acknowledgement {
  isValid: boolean;
  cumulativeAdvanced: boolean;
  acknowledgedBytes: number;
  /** Of the latest fragment that was sent once only (Karn's rule); -1 without one. */
  roundTripMs: number;
  lostCount: number;
}

/** Later fragments that must arrive before one counts as lost (RFC 9260 section 7.2.4). */
const missThreshold = 3;

/** The fragments between the peer's cumulative acknowledgement and the next TSN. */
export class Flight {
  /** In the order of their TSNs, from `#head` on. */
  #fragments: SentFragment[] = [];
  #head = 0;
  #nextTsn: number;
  #firstLostIndex = 0;
  /** The highest TSN that a gap block acknowledged. */
  #highestAcknowledged: number;
  readonly #result: Acknowledgement = {
    isValid: false,
    cumulativeAdvanced: false,
    acknowledgedBytes: 0,
    roundTripMs: -1,
    lostCount: 0,
  };
  /** Bytes of user data that may still be on the path. */
  outstandingBytes = 0;
  /** Fragments in the state `lost`: they wait to be sent again. */
  lostCount = 0;

  constructor(initialTsn: number) {
    this.#nextTsn = initialTsn;
    this.#highestAcknowledged = tsnPlus(initialTsn, -1);
  }

  get nextTsn(): number {
    return this.#nextTsn;
  }

  get count(): number {
    return this.#fragments.length - this.#head;
  }

  get cumulativeTsn(): number {
    return tsnPlus(this.#nextTsn, -1 - this.count);
  }

  get oldest(): SentFragment | undefined {
    return this.#fragments[this.#head];
  }

  /** Adds the next fragment of `message`, sent now. */
  add(message: OutgoingMessage, start: number, end: number, nowMs: number): SentFragment {
    const fragment: SentFragment = {
      tsn: this.#nextTsn,
      message,
      start,
      end,
      state: 'in flight',
      transmissions: 1,
      sentAtMs: nowMs,
      missed: 0,
    };
    if (message.fragmentCount++ === 0) message.firstTsn = fragment.tsn;
    this.#fragments.push(fragment);
    this.#nextTsn = tsnPlus(this.#nextTsn, 1);
    this.outstandingBytes += end - start;
    return fragment;
  }

  /** The first fragment that waits to be sent again. */
  nextLost(): SentFragment | undefined {
    if (this.lostCount === 0) return undefined;
    const fragments = this.#fragments;
    let index = Math.max(this.#firstLostIndex, this.#head);
    while (index < fragments.length && fragments[index]!.state !== 'lost') index++;
    this.#firstLostIndex = index;
    return fragments[index];
  }

  resend(fragment: SentFragment, nowMs: number): void {
    fragment.state = 'in flight';
    fragment.transmissions++;
    fragment.sentAtMs = nowMs;
    fragment.missed = 0;
    this.lostCount--;
    this.outstandingBytes += fragment.end - fragment.start;
  }

  /**
   * Applies a SACK: the cumulative TSN and `gapCount` pairs of offsets at `gapsAt` in `packet`. Blocks that are not in
   * ascending order end the list. `reorderMs`: a fragment sent this long before one that arrived is lost.
   */
  acknowledge(
    cumulativeTsn: number,
    packet: Buffer,
    gapsAt: number,
    gapCount: number,
    reorderMs: number,
    isRecovering: boolean,
    nowMs: number,
  ): Acknowledgement {
    const result = this.#result;
    result.isValid = false;
    result.cumulativeAdvanced = false;
    result.acknowledgedBytes = 0;
    result.roundTripMs = -1;
    result.lostCount = 0;
    const previousTsn = this.cumulativeTsn;
    const advance = tsnDistance(previousTsn, cumulativeTsn);
    if (advance < 0 || advance > this.count) return result;
    result.isValid = true;
    result.cumulativeAdvanced = advance > 0;
    let latestSentAtMs = -1;
    for (let i = 0; i < advance; i++) {
      const fragment = this.#fragments[this.#head]!;
      if (this.#markAcknowledged(fragment, nowMs) && fragment.transmissions === 1)
        latestSentAtMs = fragment.sentAtMs;
      this.#fragments[this.#head++] = undefined as never;
    }
    if (tsnBefore(this.#highestAcknowledged, cumulativeTsn)) this.#highestAcknowledged = cumulativeTsn;
    this.#release();
    if (gapCount > 0 || this.#highestAcknowledged !== cumulativeTsn)
      this.#applyGaps(
        cumulativeTsn,
        packet,
        gapsAt,
        gapCount,
        latestSentAtMs,
        reorderMs,
        isRecovering,
        nowMs,
      );
    return result;
  }

  #applyGaps(
    cumulativeTsn: number,
    packet: Buffer,
    gapsAt: number,
    gapCount: number,
    latestBefore: number,
    reorderMs: number,
    isRecovering: boolean,
    nowMs: number,
  ): void {
    const result = this.#result;
    const count = this.count;
    let latestSentAtMs = latestBefore;
    let newlyAcknowledged = 0;
    /** Offsets from the cumulative TSN up to which blocks were looked at. */
    let seen = 0;
    const head = this.#head - 1;
    for (let gap = 0; gap < gapCount; gap++) {
      const first = packet.readUInt16BE(gapsAt + 4 * gap);
      const last = packet.readUInt16BE(gapsAt + 4 * gap + 2);
      if (first <= seen || last < first || last > count) break;
      for (let offset = seen + 1; offset < first; offset++) this.#renege(this.#fragments[head + offset]!);
      for (let offset = first; offset <= last; offset++) {
        const fragment = this.#fragments[head + offset]!;
        if (!this.#markAcknowledged(fragment, nowMs)) continue;
        newlyAcknowledged = offset;
        if (fragment.transmissions === 1) latestSentAtMs = Math.max(latestSentAtMs, fragment.sentAtMs);
      }
      seen = last;
    }
    const highest = tsnDistance(cumulativeTsn, this.#highestAcknowledged);
    for (let offset = seen + 1; offset <= highest && offset <= count; offset++)
      this.#renege(this.#fragments[head + offset]!);
    this.#highestAcknowledged = tsnPlus(cumulativeTsn, seen);
    // In fast recovery every SACK that moves on counts for all that is missing below its last block.
    const missingBefore = isRecovering && result.cumulativeAdvanced ? seen : newlyAcknowledged;
    for (let offset = 1; offset < missingBefore; offset++) {
      const fragment = this.#fragments[head + offset]!;
      if (fragment.state !== 'in flight') continue;
      // What was sent again is told by time: the acknowledgements that it misses may be of what was sent before it.
      const isLost =
        fragment.transmissions === 1
          ? ++fragment.missed >= missThreshold
          : latestSentAtMs > fragment.sentAtMs + reorderMs;
      if (isLost) {
        this.#markLost(fragment, head + offset);
        result.lostCount++;
      }
    }
  }

  /** Takes the oldest fragment that is in flight for lost. */
  loseOldest(): void {
    for (let index = this.#head; index < this.#fragments.length; index++)
      if (this.#fragments[index]!.state === 'in flight') {
        this.#markLost(this.#fragments[index]!, index);
        return;
      }
  }

  /** Takes everything that is in flight for lost. */
  timeOut(): void {
    for (let index = this.#head; index < this.#fragments.length; index++)
      if (this.#fragments[index]!.state === 'in flight') this.#markLost(this.#fragments[index]!, index);
  }

  /** Gives up a message: its fragments are not sent again, and the peer is to skip them (RFC 3758 section 3.5 A3). */
  abandon(message: OutgoingMessage): void {
    message.isAbandoned = true;
    const first = tsnDistance(this.cumulativeTsn, message.firstTsn) - 1;
    for (let i = Math.max(0, first); i < first + message.fragmentCount; i++) {
      const fragment = this.#fragments[this.#head + i];
      if (fragment === undefined) continue;
      if (fragment.state === 'in flight') this.outstandingBytes -= fragment.end - fragment.start;
      else if (fragment.state === 'lost') this.lostCount--;
      fragment.state = 'abandoned';
    }
  }

  /** The fragments that wait to be sent again. */
  *lost(): Generator<SentFragment> {
    let left = this.lostCount;
    for (let index = this.#head; left > 0 && index < this.#fragments.length; index++) {
      const fragment = this.#fragments[index]!;
      if (fragment.state !== 'lost') continue;
      left--;
      yield fragment;
    }
  }

  /** The abandoned fragments that follow the cumulative TSN without another between them. */
  *leadingAbandoned(): Generator<SentFragment> {
    for (let index = this.#head; index < this.#fragments.length; index++) {
      const fragment = this.#fragments[index]!;
      if (fragment.state !== 'abandoned') return;
      yield fragment;
    }
  }

  /** Whether the fragment was not known to have arrived. */
  #markAcknowledged(fragment: SentFragment, nowMs: number): boolean {
    const { state } = fragment;
    if (state === 'acknowledged' || state === 'abandoned') return false;
    const byteCount = fragment.end - fragment.start;
    if (state === 'in flight') this.outstandingBytes -= byteCount;
    else this.lostCount--;
    fragment.state = 'acknowledged';
    this.#result.acknowledgedBytes += byteCount;
    if (fragment.transmissions === 1) this.#result.roundTripMs = nowMs - fragment.sentAtMs;
    return true;
  }

  /** The peer no longer has a fragment that it acknowledged in a gap block, as it may (RFC 9260 section 6.2). */
  #renege(fragment: SentFragment): void {
    if (fragment.state !== 'acknowledged') return;
    fragment.state = 'in flight';
    this.outstandingBytes += fragment.end - fragment.start;
  }

  #markLost(fragment: SentFragment, index: number): void {
    fragment.state = 'lost';
    this.outstandingBytes -= fragment.end - fragment.start;
    if (this.lostCount++ === 0 || index < this.#firstLostIndex) this.#firstLostIndex = index;
  }

  /** Gives back the memory of acknowledged fragments now and then, at the cost of one copy for each at most. */
  #release(): void {
    if (this.#head < 256 || 2 * this.#head < this.#fragments.length) return;
    this.#fragments = this.#fragments.slice(this.#head);
    this.#firstLostIndex -= this.#head;
    this.#head = 0;
  }
}
