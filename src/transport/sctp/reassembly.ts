import { dataFlag } from './packet.js';
import { ssnBefore, tsnBefore, tsnPlus } from './serial.js';

/** Memory that a held fragment costs beside its bytes, counted against the window. */
const fragmentOverheadBytes = 100;

/** Fragments with consecutive TSNs of one message. */
interface Run {
  streamId: number;
  ssn: number;
  isUnordered: boolean;
  ppid: number;
  firstTsn: number;
  lastTsn: number;
  hasBegin: boolean;
  hasEnd: boolean;
  /** Empty once the message is too long to be delivered. */
  fragments: Buffer[];
  byteCount: number;
  isTooLong: boolean;
  heldBytes: number;
}

interface Message {
  ppid: number;
  /** undefined for one that was too long: it takes its place in the order and is not delivered. */
  bytes: Buffer | undefined;
  heldBytes: number;
}

interface IncomingStream {
  nextSsn: number;
  /** Complete messages that wait for earlier ones, by SSN. */
  waiting: Map<number, Message>;
}

/**
 * Puts fragments together and messages into order. It holds what `heldBytes` says; its user keeps that below a bound by
 * not handing over chunks.
 */
export class Reassembly {
  readonly #maxMessageBytes: number;
  readonly #deliver: (streamId: number, ppid: number, bytes: Buffer) => void;
  readonly #runsByFirst = new Map<number, Run>();
  readonly #runsByLast = new Map<number, Run>();
  readonly #streams = new Map<number, IncomingStream>();
  heldBytes = 0;
  /** Messages of the peer that were longer than announced as the limit. */
  tooLongCount = 0;

  constructor(maxMessageBytes: number, deliver: (streamId: number, ppid: number, bytes: Buffer) => void) {
    this.#maxMessageBytes = maxMessageBytes;
    this.#deliver = deliver;
  }

  /** Takes the payload of a DATA chunk that was not received before. `payload` is copied. */
  add(tsn: number, flags: number, streamId: number, ssn: number, ppid: number, payload: Buffer): void {
    const isUnordered = (flags & dataFlag.unordered) !== 0;
    const hasBegin = (flags & dataFlag.begin) !== 0;
    const hasEnd = (flags & dataFlag.end) !== 0;
    if (hasBegin && hasEnd) {
      this.#complete(streamId, ssn, isUnordered, ppid, [payload], payload.length);
      return;
    }
    const run: Run = {
      streamId,
      ssn,
      isUnordered,
      ppid,
      firstTsn: tsn,
      lastTsn: tsn,
      hasBegin,
      hasEnd,
      fragments: [Buffer.from(payload)],
      byteCount: payload.length,
      isTooLong: false,
      heldBytes: payload.length + fragmentOverheadBytes,
    };
    this.heldBytes += run.heldBytes;
    const joined = this.#join(run);
    if (joined.hasBegin && joined.hasEnd) {
      this.#remove(joined);
      this.#complete(
        joined.streamId,
        joined.ssn,
        joined.isUnordered,
        joined.ppid,
        joined.isTooLong ? undefined : joined.fragments,
        joined.byteCount,
      );
    }
  }

  /** Skips what the peer abandoned (RFC 3758 section 3.6): fragments up to `cumulativeTsn`. */
  dropThrough(cumulativeTsn: number): void {
    for (const run of this.#runsByFirst.values())
      if (!tsnBefore(cumulativeTsn, run.firstTsn)) this.#remove(run);
  }

  /** Skips the messages of an ordered stream up to `ssn`; those of them that are complete are delivered. */
  skipThrough(streamId: number, ssn: number): void {
    const stream = this.#stream(streamId);
    if (ssnBefore(ssn, stream.nextSsn)) return;
    const complete = [...stream.waiting.keys()].filter((waiting) => !ssnBefore(ssn, waiting));
    complete.sort((a, b) => (ssnBefore(a, b) ? -1 : 1));
    stream.nextSsn = (ssn + 1) & 0xffff;
    for (const waiting of complete) this.#deliverWaiting(streamId, stream, waiting);
    this.#deliverNext(streamId, stream);
  }

  /** The peer starts the stream again (RFC 6525): its messages are counted from 0. */
  resetStream(streamId: number): void {
    const stream = this.#streams.get(streamId);
    if (stream === undefined) return;
    for (const { heldBytes } of stream.waiting.values()) this.heldBytes -= heldBytes;
    this.#streams.delete(streamId);
  }

  #stream(streamId: number): IncomingStream {
    let stream = this.#streams.get(streamId);
    if (stream === undefined) {
      stream = { nextSsn: 0, waiting: new Map() };
      this.#streams.set(streamId, stream);
    }
    return stream;
  }

  /** Keeps `added`, as part of the runs on both of its sides where they belong to one message. */
  #join(added: Run): Run {
    let run = added;
    const left = this.#runsByLast.get(tsnPlus(added.firstTsn, -1));
    if (left !== undefined && !left.hasEnd && !run.hasBegin && isSameMessage(left, run)) {
      this.#runsByLast.delete(left.lastTsn);
      run = this.#append(left, run);
    }
    const right = this.#runsByFirst.get(tsnPlus(added.lastTsn, 1));
    if (right !== undefined && !right.hasBegin && !run.hasEnd && isSameMessage(run, right)) {
      this.#runsByFirst.delete(right.firstTsn);
      this.#runsByLast.delete(right.lastTsn);
      run = this.#append(run, right);
    }
    this.#runsByFirst.set(run.firstTsn, run);
    this.#runsByLast.set(run.lastTsn, run);
    return run;
  }

  #append(run: Run, next: Run): Run {
    for (const fragment of next.fragments) run.fragments.push(fragment);
    run.byteCount += next.byteCount;
    run.heldBytes += next.heldBytes;
    run.lastTsn = next.lastTsn;
    run.hasEnd = next.hasEnd;
    run.isTooLong ||= next.isTooLong || run.byteCount > this.#maxMessageBytes;
    if (run.isTooLong) {
      run.fragments = [];
      this.heldBytes -= run.heldBytes - fragmentOverheadBytes;
      run.heldBytes = fragmentOverheadBytes;
    }
    return run;
  }

  #remove(run: Run): void {
    this.#runsByFirst.delete(run.firstTsn);
    this.#runsByLast.delete(run.lastTsn);
    this.heldBytes -= run.heldBytes;
  }

  #complete(
    streamId: number,
    ssn: number,
    isUnordered: boolean,
    ppid: number,
    fragments: Buffer[] | undefined,
    byteCount: number,
  ): void {
    const isTooLong = fragments === undefined || byteCount > this.#maxMessageBytes;
    if (isTooLong) this.tooLongCount++;
    // A copy in any case: the packet's memory is not ours.
    const bytes = isTooLong
      ? undefined
      : fragments.length === 1
        ? Buffer.from(fragments[0]!)
        : Buffer.concat(fragments, byteCount);
    if (isUnordered) {
      if (bytes !== undefined) this.#deliver(streamId, ppid, bytes);
      return;
    }
    const stream = this.#stream(streamId);
    if (ssn === stream.nextSsn) {
      stream.nextSsn = (ssn + 1) & 0xffff;
      if (bytes !== undefined) this.#deliver(streamId, ppid, bytes);
      if (stream.waiting.size > 0) this.#deliverNext(streamId, stream);
      return;
    }
    if (ssnBefore(ssn, stream.nextSsn) || stream.waiting.has(ssn)) return;
    const heldBytes = (bytes?.length ?? 0) + fragmentOverheadBytes;
    this.heldBytes += heldBytes;
    stream.waiting.set(ssn, { ppid, bytes, heldBytes });
  }

  #deliverNext(streamId: number, stream: IncomingStream): void {
    while (stream.waiting.has(stream.nextSsn)) {
      const ssn = stream.nextSsn;
      stream.nextSsn = (ssn + 1) & 0xffff;
      this.#deliverWaiting(streamId, stream, ssn);
    }
  }

  #deliverWaiting(streamId: number, stream: IncomingStream, ssn: number): void {
    const message = stream.waiting.get(ssn)!;
    stream.waiting.delete(ssn);
    this.heldBytes -= message.heldBytes;
    if (message.bytes !== undefined) this.#deliver(streamId, message.ppid, message.bytes);
  }
}

function isSameMessage(a: Run, b: Run): boolean {
  return a.streamId === b.streamId && a.isUnordered === b.isUnordered && (a.isUnordered || a.ssn === b.ssn);
}
