/** A packet that was sent, as the bytes that went out. */
interface SentPacket {
  sequence: number;
  bytes: Uint8Array;
}

/** What the transport may have taken and not yet delivered, beyond what it reports as buffered: its send window. */
const inFlightBytes = 1024 * 1024;

/**
 * Numbers reliable packets, and keeps those that may not have arrived: when a session resumes, the server says which
 * was the last one it got, and the rest is sent again.
 */
export class ReliableOutbox {
  #lastSequence = 0;
  #kept: SentPacket[] = [];
  #keptBytes = 0;

  /** The number of the next packet (DataPacket.sequence), from 1. */
  get nextSequence(): number {
    return this.#lastSequence + 1;
  }

  /** Keeps a packet that was handed over; `bufferedBytes` are still waiting with it. */
  sent(packet: SentPacket, bufferedBytes: number): void {
    this.#lastSequence = packet.sequence;
    this.#kept.push(packet);
    this.#keptBytes += packet.bytes.length;
    while (
      this.#kept.length > 1 &&
      this.#keptBytes - this.#kept[0]!.bytes.length > bufferedBytes + inFlightBytes
    ) {
      this.#keptBytes -= this.#kept.shift()!.bytes.length;
    }
  }

  /** The packets that the server did not get, in order. */
  since(lastReceived: number): readonly SentPacket[] {
    return this.#kept.filter(({ sequence }) => sequence > lastReceived);
  }
}
