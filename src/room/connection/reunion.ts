/** Whoever lost the same server comes back within a few attempts. */
const withinMs = 2_000;

/**
 * The first moments of a new session: who was there before it, and is not yet again. When a server went away, its
 * participants come back one after the other, and what is sent into a room in which nobody is yet, nobody gets.
 */
export class Reunion {
  #missing: Set<string>;
  #timer: NodeJS.Timeout;
  #onOver: () => void;

  /**
   * @param missing identities
   * @param onOver once: all of them are there, or the time is up. Not after `close`
   */
  constructor(missing: ReadonlySet<string>, onOver: () => void) {
    this.#missing = new Set(missing);
    this.#onOver = onOver;
    this.#timer = setTimeout(() => this.#end(), withinMs);
    if (missing.size === 0) this.#end();
  }

  /** Somebody can be reached again, or is gone for good. */
  settle(identity: string): void {
    if (this.#missing.delete(identity) && this.#missing.size === 0) this.#end();
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#missing.clear();
  }

  #end(): void {
    this.close();
    this.#onOver();
  }
}
