import { RpcError } from '../data/index.js';
import { describeError, OffhookError } from '../errors/index.js';
import {
  type CallbackCase,
  checkEnvironment,
  EngineThread,
  type ErrorRecord,
  type EventOf,
  type InitOf,
  type LibraryConnect,
  type LibraryNews,
  Logs,
  protocol,
  type RequestCase,
  type RequestOf,
  type ResponseOf,
  type TracedStep,
} from '../ffi/index.js';
import { createLogger, type LogRecord } from '../logging/index.js';

const log = createLogger('library');

type FfiEventMessage = InstanceType<typeof protocol.FfiEvent>['message'];

/** Takes the events of one handle: a room, a stream, a reader. */
type Listener = (message: FfiEventMessage) => void;

interface Pending {
  resolve(callback: never): void;
  reject(error: Error): void;
}

/**
 * The engine thread as the library's classes see it: requests, callbacks as promises, events by the handle that they
 * are for. There is one a process; `offhook/register` puts rtc-node's programs on the same thread.
 */
export class LibraryEngine {
  static #shared: LibraryEngine | undefined;
  static #sink: ((record: LogRecord) => void) | undefined;
  readonly #thread = new EngineThread(true);
  readonly #pending = new Map<bigint, Pending>();
  readonly #failures = new Map<bigint, ErrorRecord>();
  readonly #listeners = new Map<bigint, Listener>();
  readonly #connectListeners = new Map<bigint, (news: LibraryNews | TracedStep) => void>();
  readonly #abandoned = new FinalizationRegistry<bigint>((handle) => this.drop(handle));
  /** Of this thread: what handlers of the program throw. */
  readonly #logs = new Logs();
  #lastConnectId = 0n;

  /** Starts the engine thread at the first call, and once more after it has ended. */
  static get shared(): LibraryEngine {
    if (!LibraryEngine.#shared || LibraryEngine.#shared.#thread.isLost) {
      checkEnvironment();
      LibraryEngine.#shared = new LibraryEngine();
      if (LibraryEngine.#sink) LibraryEngine.#shared.captureLogs(LibraryEngine.#sink);
    }
    return LibraryEngine.#shared;
  }

  private constructor() {
    this.#thread.onEvent = (bytes) => this.#onEvent(bytes);
    this.#thread.onNews = (news) => this.#onNews(news);
    this.#thread.onStep = (step) => this.#connectListeners.get(step.connect)?.(step);
    this.#thread.initialize(false, 'offhook');
    this.#thread.trace();
    log.info('rooms of this process run on the offhook engine');
  }

  /**
   * A request that is answered at once.
   *
   * @throws OffhookError with what the engine says
   */
  request<Name extends RequestCase>(
    name: Name,
    value: InitOf<RequestOf<Name>>,
    library?: LibraryConnect,
  ): ResponseOf<Name> {
    const encode = () => new protocol.FfiRequest({ message: { case: name, value } } as never).toBinary();
    try {
      const response = this.rawRequest(encode, library);
      return protocol.FfiResponse.fromBinary(response).message.value as ResponseOf<Name>;
    } catch (error) {
      throw withoutHandles(error, value);
    }
  }

  /** As `request`, of messages that the bindings do not have: an encoded FfiRequest, answered by an encoded FfiResponse. */
  rawRequest(encode: () => Uint8Array, library?: LibraryConnect): Uint8Array {
    try {
      return this.#thread.request(encode(), library);
    } catch (error) {
      throw asOffhookError(error);
    }
  }

  /**
   * A request that is settled by one callback later.
   *
   * @throws OffhookError when the callback says that it failed
   */
  call<Name extends CallbackCase & RequestCase>(
    name: Name,
    value: InitOf<RequestOf<Name>>,
  ): Promise<EventOf<Name>>;
  /** As above, where the callback has another name than the request. */
  call<Name extends RequestCase, Callback extends CallbackCase>(
    name: Name,
    value: InitOf<RequestOf<Name>>,
    callback: Callback,
  ): Promise<EventOf<Callback>>;
  async call(name: RequestCase, value: object, callback = name as CallbackCase): Promise<unknown> {
    try {
      return await this.callback(callback, this.request(name, value as never) as { asyncId?: bigint });
    } catch (error) {
      throw withoutHandles(error, value);
    }
  }

  /** The callback of a request that was made before. */
  callback<Name extends CallbackCase>(
    _name: Name,
    { asyncId = 0n }: { asyncId?: bigint },
  ): Promise<EventOf<Name>> {
    return new Promise((resolve, reject) => this.#pending.set(asyncId, { resolve, reject }));
  }

  /** The id for a connect, under which its `LibraryNews` and steps reach `listener` until `connectOver`. */
  newConnect(listener: (news: LibraryNews | TracedStep) => void): bigint {
    // Far above the ids that the thread gives out, which begin at 2^40.
    this.#lastConnectId ||= 2n ** 50n;
    const id = ++this.#lastConnectId;
    this.#connectListeners.set(id, listener);
    return id;
  }

  connectOver(connect: bigint): void {
    this.#connectListeners.delete(connect);
  }

  /** Cancels a connect that is under way: its sockets are closed. */
  abandonConnect(connect: bigint): void {
    this.#thread.abandonConnect(connect);
  }

  /** The error that a stream ended with, if it ended with one. */
  takeFailure(handle: bigint): OffhookError | undefined {
    const failure = this.#failures.get(handle);
    this.#failures.delete(handle);
    return failure && fromRecord(failure);
  }

  listen(handle: bigint, listener: Listener): void {
    this.#listeners.set(handle, listener);
  }

  /** Frees what belongs to a handle; unknown ones and repeated calls are ignored. */
  drop(handle: bigint | undefined): void {
    if (handle === undefined) return;
    this.#listeners.delete(handle);
    this.#thread.forget(Number(handle));
  }

  /** Drops the handle once `owner` was garbage-collected. */
  dropWith(owner: object, handle: bigint): void {
    this.#abandoned.register(owner, handle, owner);
  }

  /** Hands the log records of the engine and of the library to `sink`, at every level. */
  captureLogs(sink: (record: LogRecord) => void): void {
    LibraryEngine.#sink = sink;
    this.#logs.capturedBy = (records) => {
      for (const record of records) {
        try {
          sink(record);
        } catch {
          // It is where failures are reported: there is no other place for its own.
        }
      }
    };
    this.#thread.initialize(true, 'offhook');
  }

  addressOf(bytes: Uint8Array): bigint {
    return BigInt(this.#thread.addressOf(bytes));
  }

  /** A copy of memory that an event names. */
  copyOf(address: bigint | undefined, length: number): Uint8Array {
    return this.#thread.copyOf(Number(address ?? 0n), length);
  }

  #onNews(news: LibraryNews): void {
    if (news.type === 'failure') this.#failures.set(news.asyncId, news.error);
    else if (news.type === 'logs') this.#logs.capturedBy?.(news.records);
    else this.#connectListeners.get(news.connect)?.(news);
  }

  #onEvent(bytes: Uint8Array): void {
    try {
      this.#dispatch(protocol.FfiEvent.fromBinary(bytes).message);
    } catch (error) {
      // The events after it must not be lost with it.
      log.error(`an event of the engine could not be handled: ${describeError(error)}`);
    }
  }

  #dispatch(message: FfiEventMessage): void {
    const value = message.value as
      | {
          asyncId?: bigint;
          roomHandle?: bigint;
          streamHandle?: bigint;
          readerHandle?: bigint;
          localParticipantHandle?: bigint;
        }
      | undefined;
    if (value?.asyncId !== undefined && value.asyncId !== 0n) {
      this.#settle(value.asyncId, value as never);
      return;
    }
    const handle =
      value?.roomHandle ?? value?.streamHandle ?? value?.readerHandle ?? value?.localParticipantHandle;
    if (handle !== undefined) this.#listeners.get(handle)?.(message);
  }

  #settle(asyncId: bigint, callback: never): void {
    const failure = this.#failures.get(asyncId);
    this.#failures.delete(asyncId);
    const pending = this.#pending.get(asyncId);
    this.#pending.delete(asyncId);
    const error = failure ? fromRecord(failure) : errorIn(callback);
    if (error) pending?.reject(error);
    else pending?.resolve(callback);
  }
}

interface CallbackError {
  error?: string | { code?: number; message?: string; data?: string; description?: string };
  message?: { case?: string; value?: unknown };
  result?: { case?: string; value?: unknown };
}

/** What a callback says of a failure that is no OffhookError: the answer to an RPC, or a fault of the engine. */
function errorIn({ error, message, result }: CallbackError): Error | undefined {
  if (typeof error === 'object' && error.code !== undefined) {
    return new RpcError(error.code, error.message ?? '', error.data);
  }
  const failed = [message, result].find((oneOf) => oneOf?.case === 'error')?.value ?? error;
  if (failed === undefined) return undefined;
  const text = typeof failed === 'string' ? failed : (failed as { description?: string }).description;
  return new OffhookError('OFFHOOK_PROTOCOL', text ?? 'the engine failed');
}

/** What the handles of a request belong to, in the words of a program, which knows objects and no handles. */
const owners: Readonly<Record<string, string>> = {
  roomHandle: 'the room is over',
  localParticipantHandle: 'the room is over',
  sourceHandle: 'the source is closed',
  trackHandle: 'the track is over',
  publicationHandle: 'the track is no longer published',
  trackPublicationHandle: 'the track is no longer published',
  writerHandle: 'the stream is closed',
  readerHandle: 'the stream is over',
  streamHandle: 'the stream is closed',
};

/** A handle that the engine does not know belongs to an object that is closed. */
function withoutHandles(error: unknown, request: object): unknown {
  if (!(error instanceof OffhookError) || error.code !== 'OFFHOOK_UNKNOWN_HANDLE') return error;
  const handle = Object.keys(request).find((name) => name in owners) ?? '';
  return new OffhookError('OFFHOOK_CLOSED', owners[handle] ?? 'the object is closed', { cause: error });
}

function fromRecord({ code, message, ...details }: ErrorRecord): OffhookError {
  return new OffhookError(code, message, details);
}

/** Errors of the engine thread carry a record; others are of a request that cannot be encoded. */
function asOffhookError(error: unknown): OffhookError {
  const record = error instanceof Error ? (error.cause as ErrorRecord | undefined) : undefined;
  if (record?.code) return fromRecord(record);
  return new OffhookError('OFFHOOK_INVALID_REQUEST', `the request cannot be sent: ${describeError(error)}`, {
    cause: error,
  });
}
