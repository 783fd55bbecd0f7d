/** Others that lost the same server are back within a few attempts. */
const withinMs = 2_000;

/**
 * Who was in the room before a reconnect and is not back yet. When a server goes away, its participants come back one after
 * the other, and what is sent into a room that is still empty reaches nobody.
 */
export class MissingParticipants {
  #missing: Set<string>;
  #timer: NodeJS.Timeout;
  #onSettled: () => void;

  /**
   * @param missing identities
   * @param onSettled called once: nobody is missing, or the time is up. Not after `close`
   */
  constructor(missing: ReadonlySet<string>, onSettled: () => void) {
    this.#missing = new Set(missing);
    this.#onSettled = onSettled;
    this.#timer = setTimeout(() => this.#end(), withinMs);
    if (missing.size === 0) this.#end();
  }

  /** A participant can be reached again, or has left for good. */
  settle(identity: string): void {
    if (this.#missing.delete(identity) && this.#missing.size === 0) this.#end();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#missing.clear();
  }

  #end(): void {
    this.close();
    this.#onSettled();
  }
}
