import { checkFunction, checkOneOf, describeError } from '../errors/index.js';
import { createLogger, type LogSubject } from '../logging/index.js';
import { Inbox, onAborted } from './inbox.js';

const log = createLogger('library');

export type EventHandler<Payload> = (payload: Payload) => unknown;

/** An event as `events()` yields it: its name, and what happened. */
export type NamedEvent<Events> = { [Name in keyof Events]: { type: Name } & Events[Name] }[keyof Events];

/** Beyond it, the oldest events of a loop that reads too slowly are dropped, with a warning. */
const maxWaitingEvents = 10_000;

/** Typed events, for handlers and for async iteration. When a handler throws or rejects, that is logged, and the others still run. */
export class Emitter<Events extends { [Name in keyof Events]: object }> {
  readonly #names: readonly (keyof Events & string)[];
  readonly #handlers = new Map<keyof Events, Map<EventHandler<never>, { once: boolean }>>();
  readonly #subject: LogSubject;
  readonly #iterations = new Set<Inbox<NamedEvent<Events>>>();

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
    checkFunction(`the handler of ${name}`, handler);
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
    for (const inbox of this.#iterations) inbox.push(event);
  }

  /** Every event from now on, until `end`, or until `signal` is aborted, whose reason it throws. Leaving the loop stops it. */
  async *iterate(signal?: AbortSignal): AsyncGenerator<NamedEvent<Events>, void, void> {
    const inbox = new Inbox<NamedEvent<Events>>(maxWaitingEvents, ({ type }) => {
      log
        .about(this.#subject)
        .warn(`the program reads events too slowly: a waiting ${String(type)} event is dropped`);
    });
    const forgetSignal = onAborted(signal, (reason) => {
      inbox.clear();
      inbox.end(reason);
    });
    this.#iterations.add(inbox);
    try {
      for (let event = await inbox.next(); event; event = await inbox.next()) yield event;
    } finally {
      forgetSignal();
      this.#iterations.delete(inbox);
    }
  }

  /** Ends every iteration, once what was emitted has been read. */
  end(): void {
    for (const inbox of this.#iterations) inbox.end();
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
