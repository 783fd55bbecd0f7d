import { OffhookError } from '../errors/index.js';

interface Entry {
  value: object;
  onDrop: (() => void) | undefined;
}

/** A class, with a public constructor or without. */
interface Class<T extends object> {
  readonly prototype: T;
  readonly name: string;
  [Symbol.hasInstance](value: unknown): boolean;
}

/** Everything that a program holds a handle of, by handle. A handle is never given out twice; 0 is none. */
export class Handles {
  #entries = new Map<number, Entry>();
  #last: number;

  /** @param above every handle is above this one */
  constructor(above = 0) {
    this.#last = above;
  }

  /** A number that is no handle and never will be one: for calls, buffers and whatever else needs an id. */
  nextId(): number {
    return ++this.#last;
  }

  /** @param onDrop frees what the handle owns */
  add(value: object, onDrop?: () => void): number {
    const handle = this.nextId();
    this.#entries.set(handle, { value, onDrop });
    return handle;
  }

  /** @throws OffhookError `OFFHOOK_UNKNOWN_HANDLE` */
  get<T extends object>(handle: bigint | undefined, type: Class<T>): T {
    return this.getOneOf(handle, [type]);
  }

  /** @throws OffhookError `OFFHOOK_UNKNOWN_HANDLE` */
  getOneOf<T extends object>(handle: bigint | undefined, types: readonly Class<T>[]): T {
    const entry = this.#entries.get(Number(handle ?? 0));
    if (!entry) {
      throw new OffhookError(
        'OFFHOOK_UNKNOWN_HANDLE',
        `handle ${handle ?? 0} is unknown: it was dropped, or never given out`,
      );
    }
    const { value } = entry;
    if (types.some((type) => type[Symbol.hasInstance](value))) return value as T;
    const wanted = types.map(({ name }) => name).join(' or ');
    throw new OffhookError(
      'OFFHOOK_UNKNOWN_HANDLE',
      `handle ${handle} is of a ${value.constructor.name}, not of a ${wanted}`,
    );
  }

  /** As `get`; undefined for a handle that is unknown, or of something else. */
  find<T extends object>(handle: number, type: Class<T>): T | undefined {
    const value = this.#entries.get(handle)?.value;
    return type[Symbol.hasInstance](value) ? (value as T) : undefined;
  }

  /** As `get`, and the handle is given up without freeing what it owned. */
  take<T extends object>(handle: bigint | undefined, type: Class<T>): T {
    const value = this.get(handle, type);
    this.#entries.delete(Number(handle));
    return value;
  }

  /** Frees what the handle owns. Returns whether it was known. */
  drop(handle: number): boolean {
    const entry = this.#entries.get(handle);
    if (!entry) return false;
    this.#entries.delete(handle);
    entry.onDrop?.();
    return true;
  }

  dropAll(): void {
    for (const handle of [...this.#entries.keys()]) this.drop(handle);
  }

  /** Every object of one class. */
  *all<T extends object>(type: Class<T>): Generator<T> {
    for (const { value } of this.#entries.values()) {
      if (type[Symbol.hasInstance](value)) yield value as T;
    }
  }
}
