import type { Span, Timeline } from '../timeline/index.js';
import type { FilterState } from './filter-status.js';

export interface ConnectingRoom {
  url: string;
  token: string;
  timeline?: Timeline;
  /** After this long a filter that is still loading is reported unavailable; default: the registry's. */
  loadDeadlineMs?: number;
  /**
   * Settles when the room has joined or failed to. Filters begin then, or after 100 ms: what they do at once would
   * compete with joining for the processor, and no audio comes before.
   */
  joined?: Promise<unknown>;
}

/** A filter's readiness for the rooms at one URL: `on_load` is called for each of them, and one success is enough. */
export class FilterLoad {
  readonly url: string;
  /** The token of the room that connected last, or its refreshed one. */
  token: string;
  deadlineMs = 0;
  /** Rooms that are open at the URL. */
  rooms = 0;
  state: FilterState = 'loading';
  reason: string | undefined;
  readonly startedMs = performance.now();
  elapsedMs: number | undefined;
  #timeline: Timeline | undefined;
  #span: Span | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #callsUnderWay = 0;

  constructor(url: string, token: string) {
    this.url = url;
    this.token = token;
  }

  /** Begins a call of on_load. `onLate` is called when the deadline passes and the filter is still loading. */
  begin(options: { moduleId: string; timeline: Timeline | undefined; onLate: () => void }): void {
    const { moduleId, timeline, onLate } = options;
    const { deadlineMs } = this;
    this.#callsUnderWay++;
    this.#timeline = timeline ?? this.#timeline;
    if (this.state !== 'ready') {
      this.state = 'loading';
      this.reason = undefined;
    }
    this.#span?.end('abandoned', 'another call of on_load began');
    this.#span = this.#timeline?.begin('filter-load', { filter: moduleId, deadlineMs });
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => {
      this.#span?.end('deadline', 'on_load has not returned; audio passes unfiltered until it does');
      if (this.state === 'loading') onLate();
    }, deadlineMs).unref();
  }

  get timeline(): Timeline | undefined {
    return this.#timeline;
  }

  /** A call of on_load is over. True when the state is to become that of the call. */
  finish(error: string | undefined): boolean {
    this.#callsUnderWay--;
    this.#span?.end(error === undefined ? 'ok' : 'failed', error);
    if (error === undefined) return this.state !== 'ready';
    return this.state !== 'ready' && this.#callsUnderWay === 0;
  }

  /** Enters a state, `sinceMs` after its beginning. */
  enter(state: FilterState, reason: string | undefined): void {
    this.state = state;
    this.reason = reason;
    this.elapsedMs = performance.now() - this.startedMs;
    if (state === 'ready' || this.#callsUnderWay === 0) clearTimeout(this.#deadline);
  }

  /** The filter's host is gone, and with it every call. */
  abandon(reason: string): void {
    this.#callsUnderWay = 0;
    this.#span?.end('failed', reason);
    this.enter('unavailable', reason);
  }

  close(): void {
    clearTimeout(this.#deadline);
    this.#span?.end('abandoned', 'the room closed');
  }
}
