const windowFrames = 100;
const tolerated = 50;

/** Decides, from the outcomes of the last second, when a filter has missed too often. */
export class MissWindow {
  #outcomes: boolean[] = [];
  #missed = 0;

  /** Takes the outcome of one frame. True when half of the last 100 frames were missed. */
  add(missed: boolean): boolean {
    this.#outcomes.push(missed);
    if (missed) this.#missed++;
    if (this.#outcomes.length > windowFrames && this.#outcomes.shift()) this.#missed--;
    return this.#missed >= tolerated;
  }

  describe(): string {
    return `${this.#missed} of the last ${this.#outcomes.length} frames were not back in time`;
  }
}
