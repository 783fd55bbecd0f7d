/** What a simulated path does to packets, each way. */
export interface LinkOptions {
  seed?: number;
  delayMs?: number;
  /** Each packet is late by up to this, so that packets overtake each other. */
  jitterMs?: number;
  lossRate?: number;
  duplicateRate?: number;
}

/** One end of a path: bytes and time in, packets out through `transmit`. */
export interface End {
  handlePacket(packet: Buffer, nowMs: number): void;
  handleTimeout(nowMs: number): void;
  readonly nextTimeoutMs: number | undefined;
}

interface Delivery {
  atMs: number;
  to: 0 | 1;
  packet: Buffer;
}

/** Two ends, a path between them, and a clock that moves from one event to the next: no real time passes. */
export class Link {
  nowMs = 1000;
  readonly ends: End[] = [];
  sentPackets = [0, 0];
  sentBytes = [0, 0];
  options: LinkOptions;
  /** Decides about each packet beside `lossRate`: true drops it. */
  drop: (packet: Buffer, from: 0 | 1) => boolean = () => false;
  #queue: Delivery[] = [];
  #random: number;

  constructor(options: LinkOptions = {}) {
    this.options = options;
    this.#random = (options.seed ?? 1) >>> 0;
  }

  /** A number from 0 to 1 (mulberry32). */
  random(): number {
    this.#random = (this.#random + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#random ^ (this.#random >>> 15), 1 | this.#random);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  transmit(from: 0 | 1, packet: Buffer): void {
    const { delayMs = 5, jitterMs = 0, lossRate = 0, duplicateRate = 0 } = this.options;
    this.sentPackets[from]!++;
    this.sentBytes[from]! += packet.length;
    if (this.random() < lossRate || this.drop(packet, from)) return;
    for (let copies = this.random() < duplicateRate ? 2 : 1; copies > 0; copies--)
      this.#enqueue({
        atMs: this.nowMs + delayMs + jitterMs * this.random(),
        to: from === 0 ? 1 : 0,
        packet: Buffer.from(packet),
      });
  }

  /** Keeps the queue in the order of arrival, and of transmission where that is the same. */
  #enqueue(delivery: Delivery): void {
    let at = this.#queue.length;
    while (at > 0 && this.#queue[at - 1]!.atMs > delivery.atMs) at--;
    this.#queue.splice(at, 0, delivery);
  }

  /** Runs what happens until `done` says so; throws when nothing happens any more, or not within `limitMs`. */
  runUntil(done: () => boolean, limitMs = 60_000): void {
    const endMs = this.nowMs + limitMs;
    while (!done()) {
      if (!this.#step(endMs)) throw new Error(`not reached within ${limitMs} ms of simulated time`);
    }
  }

  run(durationMs: number): void {
    const endMs = this.nowMs + durationMs;
    while (this.#step(endMs));
    this.nowMs = endMs;
  }

  #step(endMs: number): boolean {
    const next = this.#queue[0];
    let timeoutMs = Number.POSITIVE_INFINITY;
    for (const end of this.ends)
      timeoutMs = Math.min(timeoutMs, end.nextTimeoutMs ?? Number.POSITIVE_INFINITY);
    const atMs = Math.min(next?.atMs ?? Number.POSITIVE_INFINITY, timeoutMs);
    if (atMs > endMs) return false;
    this.nowMs = Math.max(this.nowMs, atMs);
    if (next !== undefined && next.atMs <= timeoutMs) {
      this.#queue.shift();
      this.ends[next.to]!.handlePacket(next.packet, this.nowMs);
    } else
      for (const end of this.ends)
        if (end.nextTimeoutMs !== undefined && end.nextTimeoutMs <= this.nowMs) {
          const before = end.nextTimeoutMs;
          end.handleTimeout(this.nowMs);
          if (end.nextTimeoutMs !== undefined && end.nextTimeoutMs <= before)
            throw new Error('a timeout that was handled is still due');
        }
    return true;
  }
}
