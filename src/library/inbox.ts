import type { OffhookError } from '../errors/index.js';
import { LibraryEngine } from './engine.js';

/** What has arrived and waits for its reader, up to a bound: beyond it the oldest is dropped. */
export class Inbox<Item> {
  readonly #maxItems: number;
  readonly #onDropped: (item: Item) => void;
  readonly #items: Item[] = [];
  #isOver = false;
  #error: unknown;
  #changed: { promise: Promise<void>; resolve: () => void } | undefined;

  constructor(maxItems = Number.POSITIVE_INFINITY, onDropped: (item: Item) => void = () => {}) {
    this.#maxItems = maxItems;
    this.#onDropped = onDropped;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  push(item: Item): void {
    this.#items.push(item);
    if (this.#items.length > this.#maxItems) this.#onDropped(this.#items.shift()!);
    this.#wake();
  }

  /** Nothing comes after what waits. With `error`, reading fails once that is read. */
  end(error?: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#error = error;
    this.#wake();
  }

  /** Removes and returns what waits: it will not be read. */
  clear(): Item[] {
    return this.#items.splice(0);
  }

  /** Undefined at the end. @throws what `end` was given */
  async next(): Promise<Item | undefined> {
    for (;;) {
      if (this.#items.length > 0) return this.#items.shift();
      if (this.#error !== undefined) throw this.#error;
      if (this.#isOver) return undefined;
      this.#changed ??= changing();
      await this.#changed.promise;
    }
  }

  #wake(): void {
    this.#changed?.resolve();
    this.#changed = undefined;
  }
}

function changing(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

/**
 * Calls `onAbort` with the signal's reason when it is aborted, or at once when it was.
 *
 * @returns what takes the listener away
 */
export function onAborted(signal: AbortSignal | undefined, onAbort: (reason: unknown) => void): () => void {
  if (!signal) return () => {};
  const listener = () => onAbort(signal.reason);
  if (signal.aborted) listener();
  else signal.addEventListener('abort', listener, { once: true });
  return () => signal.removeEventListener('abort', listener);
}

/** The frames of a track, until the track, the stream or the loop over it ends. */
export abstract class FrameStream<Frame, Arrived = Frame> implements AsyncIterable<Frame> {
  /** @internal */
  protected readonly engine = LibraryEngine.shared;
  /** @internal */
  protected readonly arrived: Inbox<Arrived>;
  #handle = 0n;
  #droppedFrames = 0;
  #forgetSignal = () => {};

  /** @internal */
  protected constructor(maxWaiting: number) {
    this.arrived = new Inbox<Arrived>(maxWaiting, (arrived) => {
      this.#droppedFrames++;
      this.dropped(arrived);
    });
  }

  /** Frames that were dropped because the program read too slowly. */
  get droppedFrames(): number {
    return this.#droppedFrames;
  }

  /** Stops the stream; a loop over it ends. */
  close(): void {
    this.#stop(undefined);
  }

  /** `using` calls it: as `close`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** @throws OffhookError that says why the stream broke off; the reason of the stream's `signal` */
  async *[Symbol.asyncIterator](): AsyncGenerator<Frame, void, void> {
    try {
      for (;;) {
        if (!this.arrived.isOver) this.wanted();
        const arrived = await this.arrived.next();
        if (arrived === undefined) return;
        yield this.frameOf(arrived);
      }
    } finally {
      this.close();
    }
  }

  /** @internal */
  protected abstract frameOf(arrived: Arrived): Frame;

  /** The program waits for a frame. @internal */
  protected wanted(): void {}

  /** Gives back what a frame holds that is not read. @internal */
  protected dropped(_arrived: Arrived): void {}

  /** Takes the events of the stream's handle. @internal */
  protected listen(
    handle: bigint,
    signal: AbortSignal | undefined,
    listener: Parameters<LibraryEngine['listen']>[1],
  ): void {
    this.#handle = handle;
    this.engine.listen(handle, listener);
    this.#forgetSignal = onAborted(signal, (reason) => this.#stop(reason));
  }

  /** @internal */
  protected get handle(): bigint {
    return this.#handle;
  }

  /** The engine says that nothing more comes. @internal */
  protected ended(error: OffhookError | undefined = this.engine.takeFailure(this.#handle)): void {
    this.#forgetSignal();
    this.arrived.end(error);
  }

  #stop(reason: unknown): void {
    this.#forgetSignal();
    this.engine.drop(this.#handle);
    for (const arrived of this.arrived.clear()) this.dropped(arrived);
    this.arrived.end(reason);
  }
}
