import { limits } from '../limits.js';

const defaultSize = 128;

/** The last packets sent, by sequence number, for those who ask for one again. */
export class PacketHistory {
  #slots: ({ sequenceNumber: number; packet: Buffer; resends: number } | undefined)[];

  constructor(size = defaultSize) {
    this.#slots = new Array(size);
  }

  add(sequenceNumber: number, packet: Buffer): void {
    this.#slots[sequenceNumber % this.#slots.length] = { sequenceNumber, packet, resends: 0 };
  }

  /** Those of `sequenceNumbers` that are still known and were not sent again too often. */
  take(sequenceNumbers: readonly number[]): Buffer[] {
    const packets: Buffer[] = [];
    for (const sequenceNumber of sequenceNumbers) {
      const slot = this.#slots[sequenceNumber % this.#slots.length];
      if (slot?.sequenceNumber !== sequenceNumber || slot.resends >= limits.resends.value) continue;
      slot.resends++;
      packets.push(slot.packet);
    }
    return packets;
  }
}
