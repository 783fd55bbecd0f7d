/** Which of the waiting candidates is started next, given those that were started before. Returns an index. */
export type Pick<C> = (waiting: readonly C[], started: readonly C[]) => number;

/**
 * A race of candidates that are started one after the other: the next one when `delayMs` have passed since the last
 * start, or at once when everything under way has failed (RFC 8305 section 5, for addresses; the same between URLs).
 * Pure: time is passed in, and what each call returns is to be started now.
 */
export class StaggeredRace<C> {
  #delayMs: number;
  #pick: Pick<C>;
  #waiting: C[] = [];
  #started: C[] = [];
  #running = new Set<C>();
  #held = new Set<C>();
  #lastStartMs = Number.NEGATIVE_INFINITY;
  #complete = false;
  #winner: C | undefined;

  constructor(options: { delayMs: number; pick?: Pick<C> }) {
    this.#delayMs = options.delayMs;
    this.#pick = options.pick ?? (() => 0);
  }

  /** Candidates under way. */
  get running(): readonly C[] {
    return [...this.#running];
  }

  /** `lost` once no candidate is left or can still be added. */
  get state(): 'open' | 'won' | 'lost' {
    if (this.#winner !== undefined) return 'won';
    return this.#complete && this.#running.size === 0 && this.#waiting.length === 0 ? 'lost' : 'open';
  }

  /** When {@link tick} has something to do; undefined while it waits for nothing but the candidates. */
  get wakeAtMs(): number | undefined {
    if (this.state !== 'open' || this.#waiting.length === 0 || this.#held.size > 0) return undefined;
    return this.#lastStartMs + this.#delayMs;
  }

  add(candidates: readonly C[], nowMs: number): C[] {
    this.#waiting.push(...candidates);
    return this.tick(nowMs);
  }

  /** Says that no more candidates will be added. */
  complete(): void {
    this.#complete = true;
  }

  /** While a candidate is held in hope, no further one is started. */
  hold(candidate: C): void {
    if (this.#running.has(candidate)) this.#held.add(candidate);
  }

  failed(candidate: C, nowMs: number): C[] {
    this.#running.delete(candidate);
    this.#held.delete(candidate);
    return this.tick(nowMs);
  }

  won(candidate: C): void {
    if (this.state !== 'open') return;
    this.#running.delete(candidate);
    this.#winner = candidate;
  }

  tick(nowMs: number): C[] {
    const isDue = this.#running.size === 0 || nowMs >= (this.wakeAtMs ?? Number.POSITIVE_INFINITY);
    if (this.state !== 'open' || this.#waiting.length === 0 || !isDue) return [];
    const [next] = this.#waiting.splice(this.#pick(this.#waiting, this.#started), 1) as [C];
    this.#started.push(next);
    this.#running.add(next);
    this.#lastStartMs = nowMs;
    return [next];
  }
}
