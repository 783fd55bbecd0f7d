import { DataPacket_Kind } from '@livekit/protocol';
import type { DataChannel } from '../../transport/index.js';
import type { Boundary } from '../boundary.js';
import { limits } from '../limits.js';
import { startTimeout, type Timeout } from '../timers.js';
import type { WorkMeter } from '../work-meter.js';
import type { DataOutbox } from './data-outbox.js';

interface DataInletOptions {
  boundary: Boundary;
  /** Sends a packet on, and returns the outboxes of those it went to. */
  relay: (message: Uint8Array, kind: DataPacket_Kind) => readonly DataOutbox[];
  /** Sends a packet of a data track on. */
  relayTrackPacket: (packet: Uint8Array) => void;
  /** The client sends on although it was told to wait, and has to go. */
  onOverflow: () => void;
  /** What the client's packets cost. */
  work: WorkMeter;
}

/** How often an inlet that waits looks whether it may go on. */
const retryMs = 10;

/**
 * Takes the data that one client sends to others, no faster than they take it, and no faster than leaves the server
 * time for everybody else. Meanwhile reliable packets wait here, and the transport is told of them, which slows the
 * client down; a client that goes on nevertheless is given up. Lossy packets and those of data tracks are dropped.
 */
export class DataInlet {
  #options: DataInletOptions;
  #waiting: { message: Uint8Array; channel: DataChannel }[] = [];
  #waitingBytes = 0;
  #congested: DataOutbox[] = [];
  #retry: Timeout | undefined;
  #closed = false;

  constructor(options: DataInletOptions) {
    this.#options = options;
  }

  receive(message: Uint8Array, kind: DataPacket_Kind, channel: DataChannel): void {
    if (this.#closed) return;
    const isFree = this.#waiting.length === 0 && this.#mayRelay();
    if (kind === DataPacket_Kind.LOSSY) {
      if (isFree) this.#relay(message, kind);
      return;
    }
    if (isFree) {
      this.#relay(message, kind);
      return;
    }
    this.#waiting.push({ message, channel });
    this.#waitingBytes += message.length;
    if (this.#waitingBytes > limits.withheldDataBytes.value) {
      this.close();
      this.#options.onOverflow();
      return;
    }
    channel.withhold(this.#waitingBytes);
    this.#retryLater();
  }

  receiveTrackPacket(packet: Uint8Array): void {
    const { work, boundary, relayTrackPacket } = this.#options;
    if (this.#closed || work.waitMs > 0) return;
    work.run(() => boundary.run('data track', () => relayTrackPacket(packet)));
  }

  close(): void {
    this.#closed = true;
    this.#waiting = [];
    this.#congested = [];
    this.#retry?.cancel();
  }

  #mayRelay(): boolean {
    this.#congested = this.#congested.filter((outbox) => outbox.isCongested);
    return this.#congested.length === 0 && this.#options.work.waitMs === 0;
  }

  #relay(message: Uint8Array, kind: DataPacket_Kind): void {
    const { work, boundary, relay } = this.#options;
    const outboxes = work.run(() => boundary.run('data', () => relay(message, kind))) ?? [];
    if (kind === DataPacket_Kind.RELIABLE) this.#congested = outboxes.filter((outbox) => outbox.isCongested);
  }

  #retryLater(): void {
    this.#retry ??= startTimeout(this.#options.boundary.name, retryMs, () => {
      this.#retry = undefined;
      this.#relayWaiting();
    });
  }

  #relayWaiting(): void {
    let relayed = 0;
    let channel: DataChannel | undefined;
    while (!this.#closed && relayed < this.#waiting.length && this.#mayRelay()) {
      const next = this.#waiting[relayed++]!;
      channel = next.channel;
      this.#waitingBytes -= next.message.length;
      this.#relay(next.message, DataPacket_Kind.RELIABLE);
    }
    if (this.#closed) return;
    this.#waiting.splice(0, relayed);
    channel?.withhold(this.#waitingBytes);
    if (this.#waiting.length > 0) this.#retryLater();
  }
}
