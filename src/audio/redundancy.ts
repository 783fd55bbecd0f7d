import { buildRed } from './red.js';

const maxCopies = 2;

/** Wraps every payload of one stream with copies of those before it (RFC 2198). */
export class Redundancy {
  #payloadType: number;
  #older: { timestamp: number; payload: Uint8Array }[] = [];

  /** @param payloadType of the payloads inside */
  constructor(payloadType: number) {
    this.#payloadType = payloadType;
  }

  /**
   * @param copies how many earlier payloads to add, 1 or 2
   * @param keep whether later packets carry this one again; a payload of silence is not worth it
   */
  wrap(payload: Uint8Array, timestamp: number, copies: 1 | 2, keep: boolean): Uint8Array {
    const older = this.#older.slice(-copies).map((block) => ({
      timestampOffset: (timestamp - block.timestamp) >>> 0,
      payload: block.payload,
    }));
    if (keep) {
      this.#older.push({ timestamp, payload });
      if (this.#older.length > maxCopies) this.#older.shift();
    }
    return buildRed(this.#payloadType, payload, older);
  }
}
