import { createLogger } from '../logging/index.js';
import { type Clock, systemClock } from './clock.js';

/** What runs at every tick. */
export interface TickTarget {
  /** @param nowMs when this tick was due: exactly 10 ms after the one before, however late it runs. */
  tick(nowMs: number): void;
}

export const tickMs = 10;

const log = createLogger('audio/ticker');
/** Later than this, packets are waiting too: they are let in before the missed ticks run. */
const stallMs = 30;
/** After a longer stall (a suspended machine) the missed time is skipped, not caught up with. */
const maxCatchUpMs = 5_000;

/**
 * One 10 ms beat for all senders, receivers and sources of an engine. It runs while something is attached, and holds
 * the process alive then. After a stall the missed ticks are made up for, so that audio neither drifts nor is lost.
 */
export class Ticker {
  readonly clock: Clock;
  #targets = new Set<TickTarget>();
  #dueMs = 0;
  #cancel: (() => void) | undefined;

  constructor(clock: Clock = systemClock) {
    this.clock = clock;
  }

  add(target: TickTarget): void {
    this.#targets.add(target);
    if (this.#cancel) return;
    this.#dueMs = this.clock.nowMs() + tickMs;
    this.#wait();
  }

  remove(target: TickTarget): void {
    this.#targets.delete(target);
    if (this.#targets.size > 0) return;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  /** Whether the ticker itself has been held up: what arrives now was delayed by this process, not by the network. */
  get isStalled(): boolean {
    return this.#cancel !== undefined && this.clock.nowMs() - this.#dueMs > stallMs;
  }

  #wait(): void {
    const delayMs = Math.max(0, this.#dueMs - this.clock.nowMs());
    this.#cancel = this.clock.schedule(() => {
      if (this.isStalled) this.#cancel = this.clock.afterInput(() => this.#run());
      else this.#run();
    }, delayMs);
  }

  #run(): void {
    const nowMs = this.clock.nowMs();
    const lateMs = nowMs - this.#dueMs;
    if (lateMs > maxCatchUpMs) {
      log.warn(
        `audio stood still for ${Math.round(lateMs)} ms because this thread was blocked; the missed time is skipped`,
      );
      this.#dueMs = nowMs;
    }
    while (this.#dueMs <= nowMs && this.#targets.size > 0) {
      const dueMs = this.#dueMs;
      this.#dueMs += tickMs;
      for (const target of this.#targets) {
        try {
          target.tick(dueMs);
        } catch (error) {
          log.error(`an audio tick failed: ${error instanceof Error ? error.stack : String(error)}`);
        }
      }
    }
    if (this.#targets.size > 0) this.#wait();
  }
}

let shared: Ticker | undefined;

/** The beat of this thread's engine, used by whatever is given none of its own. */
export function sharedTicker(): Ticker {
  shared ??= new Ticker();
  return shared;
}
