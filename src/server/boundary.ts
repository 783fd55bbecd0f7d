import { describeError } from '../errors/index.js';
import { createLogger } from '../logging/index.js';

const log = createLogger('server');

/** After so many failures of one participant or timer the log has what it needs; more would only fill it. */
const maxLoggedFailures = 20;

/**
 * Runs what one participant, one worker or one timer does. An exception in it is logged and goes no further: it must
 * not end the process, and not reach the loop that also serves the others.
 */
export class Boundary {
  readonly name: string;
  #failures = 0;

  /** @param name whose acts these are, for the log. */
  constructor(name: string) {
    this.name = name;
  }

  /** Runs `act` and returns its value, or undefined when it failed. */
  run<Value>(what: string, act: () => Value): Value | undefined {
    try {
      return act();
    } catch (error) {
      this.report(what, error);
      return undefined;
    }
  }

  /** A callback that runs inside the boundary. */
  wrap<Args extends unknown[]>(what: string, act: (...args: Args) => void): (...args: Args) => void {
    return (...args) => {
      try {
        act(...args);
      } catch (error) {
        this.report(what, error);
      }
    };
  }

  /** Takes a failure that was caught elsewhere. */
  report(what: string, error: unknown): void {
    this.#failures++;
    if (this.#failures > maxLoggedFailures) return;
    const last = this.#failures === maxLoggedFailures ? ' (further failures are not logged)' : '';
    const where = error instanceof Error ? (error.stack?.split('\n')[1]?.trim() ?? '') : '';
    log.error(`${this.name}: ${what} failed: ${describeError(error)} ${where}${last}`);
  }
}
