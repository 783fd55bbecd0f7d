/** How a message is to be sent (RFC 8831 section 6.4). At most one of the limits is set. */
export interface SendOptions {
  ordered: boolean;
  /** Times that each fragment is sent again before the message is given up. */
  maxRetransmits?: number | undefined;
  /** After this time the message is not sent again, and not for the first time. */
  maxLifetimeMs?: number | undefined;
}

/** A message from the call of `send` until it is acknowledged or abandoned. */
export interface OutgoingMessage {
  readonly stream: OutgoingStream;
  readonly ppid: number;
  readonly bytes: Uint8Array;
  readonly isOrdered: boolean;
  readonly maxRetransmits: number;
  readonly expiresAtMs: number;
  /** Given with the first fragment. */
  ssn: number;
  /** Bytes that were sent at least once. */
  sentBytes: number;
  firstTsn: number;
  fragmentCount: number;
  isAbandoned: boolean;
}

export interface OutgoingStream {
  readonly id: number;
  nextSsn: number;
  messages: OutgoingMessage[];
  /** Index of the first message in `messages` that is not sent in full. */
  head: number;
  /** Bytes handed to `send` that were not sent for the first time. */
  queuedBytes: number;
  isReady: boolean;
}

/**
 * Messages that wait to be sent, by stream. Streams take turns, message by message: the fragments of a message have
 * consecutive TSNs, so that another message cannot come between them.
 */
export class SendQueue {
  readonly #streams = new Map<number, OutgoingStream>();
  /** Streams that have messages, the one whose turn it is first. */
  #ready: OutgoingStream[] = [];
  #current: OutgoingMessage | undefined;
  queuedBytes = 0;
  /** Streams whose queued bytes became fewer; the queue's user clears it. */
  readonly drained = new Set<number>();
  /** Messages that expired before their first byte was sent. */
  expiredCount = 0;

  add(streamId: number, ppid: number, bytes: Uint8Array, options: SendOptions, nowMs: number): void {
    const stream = this.stream(streamId);
    stream.messages.push({
      stream,
      ppid,
      bytes,
      isOrdered: options.ordered,
      maxRetransmits: options.maxRetransmits ?? Number.POSITIVE_INFINITY,
      expiresAtMs:
        options.maxLifetimeMs === undefined ? Number.POSITIVE_INFINITY : nowMs + options.maxLifetimeMs,
      ssn: 0,
      sentBytes: 0,
      firstTsn: 0,
      fragmentCount: 0,
      isAbandoned: false,
    });
    stream.queuedBytes += bytes.length;
    this.queuedBytes += bytes.length;
    if (!stream.isReady) {
      stream.isReady = true;
      this.#ready.push(stream);
    }
  }

  stream(streamId: number): OutgoingStream {
    let stream = this.#streams.get(streamId);
    if (stream === undefined) {
      stream = { id: streamId, nextSsn: 0, messages: [], head: 0, queuedBytes: 0, isReady: false };
      this.#streams.set(streamId, stream);
    }
    return stream;
  }

  queuedBytesOf(streamId: number): number {
    return this.#streams.get(streamId)?.queuedBytes ?? 0;
  }

  hasMessages(streamId: number): boolean {
    return this.#streams.get(streamId)?.isReady ?? false;
  }

  get isEmpty(): boolean {
    return this.#ready.length === 0;
  }

  /** Forgets the numbering of a stream that was reset. */
  forget(streamId: number): void {
    const stream = this.#streams.get(streamId);
    if (stream !== undefined && !stream.isReady) this.#streams.delete(streamId);
  }

  /** The message to take the next fragment from. Drops those that expired. */
  next(nowMs: number): OutgoingMessage | undefined {
    while (true) {
      const message = this.#current ?? this.#begin();
      if (message === undefined) return undefined;
      if (!message.isAbandoned && (message.expiresAtMs > nowMs || message.sentBytes > 0)) return message;
      if (!message.isAbandoned) this.expiredCount++;
      this.#take(message, message.bytes.length - message.sentBytes);
      this.#finish(message);
    }
  }

  /** `byteCount` bytes of what `next` returned are on their way. */
  sent(message: OutgoingMessage, byteCount: number): void {
    message.sentBytes += byteCount;
    this.#take(message, byteCount);
    if (message.sentBytes >= message.bytes.length) this.#finish(message);
  }

  /** Drops the part of a message that was abandoned and not sent in full; true when there was one. */
  dropRest(message: OutgoingMessage): void {
    if (this.#current !== message) return;
    this.#take(message, message.bytes.length - message.sentBytes);
    this.#finish(message);
  }

  #begin(): OutgoingMessage | undefined {
    const stream = this.#ready[0];
    if (stream === undefined) return undefined;
    this.#current = stream.messages[stream.head]!;
    return this.#current;
  }

  #take(message: OutgoingMessage, byteCount: number): void {
    this.drained.add(message.stream.id);
    message.stream.queuedBytes -= byteCount;
    this.queuedBytes -= byteCount;
  }

  #finish(message: OutgoingMessage): void {
    const { stream } = message;
    this.#current = undefined;
    stream.head++;
    this.#ready.shift();
    if (stream.head < stream.messages.length) {
      this.#ready.push(stream);
      // The messages behind `head` are released now and then, at the cost of one copy for each message at most.
      if (stream.head >= 64 && 2 * stream.head > stream.messages.length) {
        stream.messages = stream.messages.slice(stream.head);
        stream.head = 0;
      }
      return;
    }
    stream.messages = [];
    stream.head = 0;
    stream.isReady = false;
  }
}
