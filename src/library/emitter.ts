import { describeError } from '../errors/index.js';
import { createLogger, type LogSubject } from '../logging/index.js';
import { checkFunction, checkOneOf } from './check.js';

const log = createLogger('library');

export type EventHandler<Payload> = (payload: Payload) => unknown;

/** An event as `events()` yields it: its name, and what happened. */
export type NamedEvent<Events> = { [Name in keyof Events]: { type: Name } & Events[Name] }[keyof Events];

/** A reader that is slower than the room: the oldest of its events are dropped, with a warning. */
const maxWaitingEvents = 10_000;

/** Typed events, for handlers and for async iteration. A handler that throws or rejects is logged and ends nothing. */
export class Emitter<Events extends { [Name in keyof Events]: object }> {
  readonly #names: readonly (keyof Events & string)[];
  readonly #handlers = new Map<keyof Events, Map<EventHandler<never>, { once: boolean }>>();
  readonly #subject: LogSubject;
  readonly #iterations = new Set<(event: NamedEvent<Events> | undefined) => void>();

  /**
   * @param names of all events: a misspelt one is an error
   * @param subject whose events these are, for log lines; it may be filled in later
   */
  constructor(names: readonly (keyof Events & string)[], subject: LogSubject) {
    this.#names = names;
    this.#subject = subject;
  }

  on<Name extends keyof Events & string>(
    name: Name,
    handler: EventHandler<Events[Name]>,
    once = false,
  ): void {
    checkOneOf('the name of an event', name, this.#names);
    checkFunction(`the handler of ${name}`, handler);
    const handlers = this.#handlers.get(name) ?? new Map();
    handlers.set(handler, { once });
    this.#handlers.set(name, handlers);
  }

  off<Name extends keyof Events & string>(name: Name, handler: EventHandler<Events[Name]>): void {
    checkOneOf('the name of an event', name, this.#names);
    this.#handlers.get(name)?.delete(handler);
  }

  emit<Name extends keyof Events & string>(name: Name, payload: Events[Name]): void {
    const handlers = this.#handlers.get(name);
    for (const [handler, { once }] of [...(handlers ?? [])]) {
      if (once) handlers?.delete(handler);
      runHandler(name, this.#subject, () => handler(payload as never));
    }
    if (this.#iterations.size === 0) return;
    const event = { type: name, ...payload } as NamedEvent<Events>;
    for (const push of this.#iterations) push(event);
  }

  /** Every event from now on, until `end`. Leaving the loop stops it. */
  async *iterate(): AsyncGenerator<NamedEvent<Events>, void, void> {
    const waiting: NamedEvent<Events>[] = [];
    let isOver = false;
    let wake: () => void = () => {};
    const push = (event: NamedEvent<Events> | undefined) => {
      if (event) waiting.push(event);
      else isOver = true;
      if (waiting.length > maxWaitingEvents) {
        log
          .about(this.#subject)
          .warn(`events are read too slowly: ${String(waiting.shift()?.type)} is dropped`);
      }
      wake();
    };
    this.#iterations.add(push);
    try {
      for (;;) {
        const event = waiting.shift();
        if (event) yield event;
        else if (isOver) return;
        else {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      }
    } finally {
      this.#iterations.delete(push);
    }
  }

  /** Ends every iteration, once what was emitted has been read. */
  end(): void {
    for (const push of this.#iterations) push(undefined);
  }
}

/** Calls a program's function; what it throws, now or later, is logged. */
export function runHandler(what: string, subject: LogSubject, work: () => unknown): void {
  const failed = (error: unknown) => {
    const cause = error instanceof Error ? error.stack : describeError(error);
    log.about(subject).error(`a handler of ${what} failed: ${cause}`);
  };
  try {
    const result = work();
    if (result instanceof Promise) result.catch(failed);
  } catch (error) {
    failed(error);
  }
}
