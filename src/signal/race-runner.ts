import { type Pick, StaggeredRace } from './staggered-race.js';

export interface RaceOptions<C, T> {
  delayMs: number;
  pick?: Pick<C>;
  /** Ends the race: what is under way is abandoned. */
  signal: AbortSignal;
  /** Must leave nothing behind when it fails or `signal` aborts; `hold` keeps further candidates from starting. */
  attempt(candidate: C, signal: AbortSignal, hold: () => void): Promise<T>;
  /** Frees what an attempt brought that came in too late. */
  dispose(value: T): void;
}

/** Why every candidate of a race failed, in the order in which they did. */
export class RaceLost extends Error {
  constructor(readonly errors: readonly unknown[]) {
    super('every candidate failed');
  }
}

/** Runs a {@link StaggeredRace} with real time and real attempts. The first success wins, the others are abandoned. */
export class RaceRunner<C, T> {
  /** @throws RaceLost, or the reason of the signal */
  readonly result: Promise<T>;
  #options: RaceOptions<C, T>;
  #race: StaggeredRace<C>;
  #controllers = new Map<C, AbortController>();
  #errors: unknown[] = [];
  #timer: NodeJS.Timeout | undefined;
  #ended = false;
  #resolve!: (value: T) => void;
  #reject!: (error: unknown) => void;
  #abort = () => {
    const { reason } = this.#options.signal;
    this.#end(() => this.#reject(reason), reason);
  };

  constructor(options: RaceOptions<C, T>) {
    this.#options = options;
    this.#race = new StaggeredRace(options);
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    if (options.signal.aborted) this.#abort();
    else options.signal.addEventListener('abort', this.#abort, { once: true });
  }

  add(candidates: readonly C[]): void {
    this.#advance(this.#race.add(candidates, performance.now()));
  }

  /** Says that no more candidates will be added; `error` is why there are no others, if something failed. */
  complete(error?: unknown): void {
    if (error !== undefined) this.#errors.push(error);
    this.#race.complete();
    this.#advance([]);
  }

  /** Ends the race with `error` though candidates are left. */
  stop(error: unknown): void {
    this.#end(() => this.#reject(error));
  }

  #advance(candidates: readonly C[]): void {
    if (this.#ended) return;
    for (const candidate of candidates) this.#start(candidate);
    if (this.#race.state === 'lost') this.stop(new RaceLost(this.#errors));
    clearTimeout(this.#timer);
    const wakeAtMs = this.#race.wakeAtMs;
    if (wakeAtMs === undefined) return;
    const waitMs = Math.max(0, Math.ceil(wakeAtMs - performance.now()));
    this.#timer = setTimeout(() => this.#advance(this.#race.tick(performance.now())), waitMs);
  }

  #start(candidate: C): void {
    const controller = new AbortController();
    this.#controllers.set(candidate, controller);
    this.#options
      .attempt(candidate, controller.signal, () => {
        this.#race.hold(candidate);
        this.#advance([]);
      })
      .then(
        (value) => this.#succeed(candidate, value),
        (error) => this.#fail(candidate, error),
      );
  }

  #succeed(candidate: C, value: T): void {
    this.#controllers.delete(candidate);
    if (this.#ended) {
      this.#options.dispose(value);
      return;
    }
    this.#race.won(candidate);
    this.#end(() => this.#resolve(value));
  }

  #fail(candidate: C, error: unknown): void {
    this.#controllers.delete(candidate);
    if (this.#ended) return;
    this.#errors.push(error);
    this.#advance(this.#race.failed(candidate, performance.now()));
  }

  #end(settle: () => void, reason: unknown = new Error('another one was faster')): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#options.signal.removeEventListener('abort', this.#abort);
    settle();
    for (const controller of this.#controllers.values()) controller.abort(reason);
  }
}
