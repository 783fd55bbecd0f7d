const windowFrames = 100;
const tolerated = 50;

type Outcome = 'processed' | 'late' | 'failed';

/** Decides, from the outcomes of the last second, when a filter has missed too often. */
export class MissWindow {
  #outcomes: Outcome[] = [];
  #counts: Record<Outcome, number> = { processed: 0, late: 0, failed: 0 };

  /** Takes the outcome of one frame. True when half of the last 100 frames were missed. */
  add(outcome: Outcome): boolean {
    this.#outcomes.push(outcome);
    this.#counts[outcome]++;
    if (this.#outcomes.length > windowFrames) this.#counts[this.#outcomes.shift()!]--;
    return this.#counts.late + this.#counts.failed >= tolerated;
  }

  /** @param failure what the filter threw last */
  describe(failure: string | undefined): string {
    const { late, failed } = this.#counts;
    const missed = [
      ...(late > 0 ? [`${late} were not back in time`] : []),
      ...(failed > 0 ? [`it failed on ${failed}`] : []),
    ];
    const last = failed > 0 && failure !== undefined ? ` (${failure})` : '';
    return `of the last ${this.#outcomes.length} frames ${missed.join(' and ')}${last}`;
  }
}
