import { type DataPacket, DataPacket_Kind } from '@livekit/protocol';
import { limits } from './limits.js';
import type { DataOutbox } from './sfu/data-outbox.js';
import { startTimeout, type Timeout } from './timers.js';

interface ServerDataOptions {
  /** For the log. */
  name: string;
  /** The outboxes of those whom a packet is for. */
  outboxesFor: (packet: DataPacket) => readonly DataOutbox[];
  send: (packet: DataPacket, kind: DataPacket_Kind) => void;
}

interface Waiting {
  bytes: number;
  /** Those that had too much unread when the packet came, and still have. */
  congested: readonly DataOutbox[];
  untilMs: number;
  send(): void;
  fail(): void;
}

/** Why data of the API is not sent. */
export class CongestionError extends Error {
  override readonly name = 'CongestionError';
}

/** How often it is looked whether data that waits may be sent. */
const retryMs = 20;
/** What a packet that waits costs beside its content. */
const packetOverheadBytes = 1_024;

/**
 * Data that the server API sends to participants. Reliable data waits while one of those that it is for has too much
 * unread, so that its caller is slowed down as a participant is; lossy data is dropped where that is so.
 */
export class ServerData {
  #options: ServerDataOptions;
  #waiting = new Set<Waiting>();
  #waitingBytes = 0;
  #retry: Timeout | undefined;

  constructor(options: ServerDataOptions) {
    this.#options = options;
  }

  /**
   * Resolves when the packet was sent.
   *
   * @throws CongestionError when too much waits, or it has waited for too long
   */
  async send(packet: DataPacket, kind: DataPacket_Kind): Promise<void> {
    const { outboxesFor, send } = this.#options;
    const congested =
      kind === DataPacket_Kind.RELIABLE ? outboxesFor(packet).filter((outbox) => outbox.isCongested) : [];
    if (congested.length === 0) {
      send(packet, kind);
      return;
    }
    const size = packet.value.case === 'user' ? packet.value.value.payload.length : 0;
    const bytes = size + packetOverheadBytes;
    if (this.#waitingBytes + bytes > limits.waitingServerDataBytes.value) throw new CongestionError();
    await new Promise<void>((resolve, reject) => {
      this.#waiting.add({
        bytes,
        congested,
        untilMs: performance.now() + limits.waitingServerDataMs.value,
        send: () => {
          try {
            send(packet, kind);
            resolve();
          } catch (error) {
            reject(error);
          }
        },
        fail: () => reject(new CongestionError()),
      });
      this.#waitingBytes += bytes;
      this.#lookLater();
    });
  }

  /** The room closes: nothing waits any more. */
  close(): void {
    this.#retry?.cancel();
    for (const waiting of this.#waiting) this.#take(waiting).fail();
  }

  #lookLater(): void {
    this.#retry ??= startTimeout(this.#options.name, retryMs, () => {
      this.#retry = undefined;
      this.#look();
      if (this.#waiting.size > 0) this.#lookLater();
    });
  }

  #look(): void {
    const nowMs = performance.now();
    for (const waiting of this.#waiting) {
      waiting.congested = waiting.congested.filter((outbox) => outbox.isCongested);
      if (waiting.congested.length === 0) this.#take(waiting).send();
      else if (nowMs >= waiting.untilMs) this.#take(waiting).fail();
    }
  }

  #take(waiting: Waiting): Waiting {
    this.#waiting.delete(waiting);
    this.#waitingBytes -= waiting.bytes;
    return waiting;
  }
}
