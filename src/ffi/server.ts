import { AudioSource, type CaptureRing } from '../audio/index.js';
import { describeError, OffhookError } from '../errors/index.js';
import type { FilterStatus } from '../filters/index.js';
import { createLogger } from '../logging/index.js';
import { Context, type LibraryListener, type Tracer } from './context.js';
import type { AddressSpace } from './engine-memory.js';
import { answerLaterRequest } from './later-requests.js';
import type { InitOf, RequestCase, RequestOf, ResponseOf } from './messages.js';
import type { Outbox } from './outbox.js';
import { FfiRequest, FfiResponse } from './protocol.js';
import { type RequestRow, requestTable } from './request-table.js';
import { disposeAll } from './requests/dispose.js';
import type { Attachment, Delivery, PostedRequest } from './wire.js';

const log = createLogger('ffi');

export interface FfiServerOptions {
  /** Takes every event, in order, with the buffers it points to, all of which are valid during the call only. */
  emit(event: Delivery): void;
  /**
   * Undefined while the program takes its events as they come; otherwise resolves when it does so again. Until then the
   * frames and chunks of a stream wait in its queue.
   */
  untilTaken?(): Promise<void> | undefined;
  /** Bytes of events that the program has not taken yet. Runs for every event of a room. */
  untakenBytes?(): number;
  /** Where the buffers of events and answers have their addresses; default: a virtual space. */
  addresses?: AddressSpace;
  /** Handles are above this one; default: 0. */
  handlesAbove?: number;
}

/** What a request is answered with. */
export interface FfiAnswer extends Delivery {
  /** Bytes for the program's own memory, where the request asked for it. */
  writes?: Attachment[];
}

/**
 * Serves the FFI protocol: encoded requests in, encoded responses and events out, memory as ranges of bytes. It knows
 * nothing of the language or the process at the other end.
 */
export class FfiServer {
  #context: Context;

  constructor({ emit, addresses, untilTaken, untakenBytes, handlesAbove }: FfiServerOptions) {
    this.#context = new Context(emit, addresses, handlesAbove);
    if (untilTaken) this.#context.untilTaken = untilTaken;
    if (untakenBytes) this.#context.untakenBytes = untakenBytes;
  }

  /**
   * Answers a request at once. Long work is settled by one event later.
   *
   * @param request an encoded FfiRequest
   * @param buffers the memory that the request points to
   * @param environment variables of the program for a filter that the request loads, where the program is not this process
   * @throws OffhookError for a request that is malformed, names an unknown handle, or has no way to say that it failed
   */
  handle(
    request: Uint8Array,
    buffers: readonly Attachment[],
    environment?: Readonly<Record<string, string>>,
  ): FfiAnswer {
    const message = decode(request);
    const context = this.#context;
    const { memory } = context;
    memory.beginRequest(buffers);
    context.environment = environment;
    try {
      if (!message)
        return { bytes: answerLaterRequest(request, context), ...context.outbox.takeOpenedAndClosed() };
      return this.#answer(message.case, message.value as never);
    } finally {
      // Also of a request that threw: what it lent or wrote must not go along with the next answer.
      memory.endRequest();
      context.takeAnswerBuffers();
    }
  }

  /**
   * Takes a request whose response the program has already: the id of its callback, or nothing. Whatever fails is said
   * in the callback.
   */
  post({ bytes, buffers, promised, library }: PostedRequest): void {
    const context = this.#context;
    context.promised = promised;
    context.libraryConnect = library;
    try {
      const message = decode(bytes);
      if (!message) throw new OffhookError('OFFHOOK_INVALID_REQUEST', 'the request is of a later protocol');
      context.memory.beginRequest(buffers);
      this.#respond(message.case, message.value as never);
    } catch (error) {
      if (context.promised) context.fail(context.promised, error);
      else log.debug(`a request that has no answer failed: ${describeError(error)}`);
    } finally {
      context.promised = undefined;
      context.libraryConnect = undefined;
      context.memory.endRequest();
    }
  }

  /**
   * The source of a handle is captured for in memory that the program's thread writes.
   *
   * @param onRoom as in AudioSource.playFrom
   */
  playFrom(handle: number, ring: CaptureRing, onRoom: () => void): void {
    this.#sourceOf(handle)?.playFrom(ring, onRoom);
  }

  /** The program has captured for a source that does not play. */
  wakeSource(handle: number): void {
    this.#sourceOf(handle)?.wake();
  }

  /** Frees what belongs to a handle. Returns whether it was known. */
  drop(handle: number): boolean {
    return this.#context.handles.drop(handle);
  }

  /** Leaves every room and drops every handle. */
  dispose(): Promise<void> {
    return disposeAll(this.#context);
  }

  /** The way to the program, for what is not an answer: log lines. */
  get outbox(): Outbox {
    return this.#context.outbox;
  }

  /** Cancels a connect that is under way, by its `asyncId`. */
  abandonConnect(connect: bigint): void {
    this.#context.connects.get(connect)?.abort();
  }

  /** Rooms that are joined from now on are traced. */
  trace(tracer: Tracer): void {
    this.#context.tracer = tracer;
  }

  /** The program is offhook's own library. */
  informLibrary(listener: LibraryListener): void {
    this.#context.library = listener;
  }

  get filterStatuses(): FilterStatus[] {
    return this.#context.filters.statuses();
  }

  #answer<Name extends RequestCase>(name: Name, request: RequestOf<Name>): FfiAnswer {
    const context = this.#context;
    const value = this.#respond(name, request);
    const response = new FfiResponse({
      message: { case: name === 'editChatMessage' ? 'sendChatMessage' : name, value },
    } as ConstructorParameters<typeof FfiResponse>[0]);
    const answer: FfiAnswer = { bytes: response.toBinary(), ...context.outbox.takeOpenedAndClosed() };
    const lent = context.takeAnswerBuffers();
    if (lent) answer.buffers = lent;
    const writes = context.memory.takeWrites();
    if (writes) answer.writes = writes;
    return answer;
  }

  /** Undefined for a handle that the program has dropped by now. */
  #sourceOf(handle: number): AudioSource | undefined {
    return this.#context.handles.find(handle, AudioSource);
  }

  #respond<Name extends RequestCase>(name: Name, request: RequestOf<Name>): InitOf<ResponseOf<Name>> {
    const { handler, failed } = requestTable[name] as RequestRow<Name>;
    try {
      return handler(request, this.#context);
    } catch (error) {
      // The library throws what the program is to know of.
      if (this.#context.library && error instanceof OffhookError) throw error;
      log.warn(`request ${name}: ${describeError(error)}`);
      if (failed) return failed(describeError(error));
      if (error instanceof OffhookError)
        throw new OffhookError(error.code, `request ${name}: ${error.summary}`, {
          advice: error.advice,
          cause: error,
        });
      throw new OffhookError('OFFHOOK_INVALID_REQUEST', `request ${name}: ${describeError(error)}`, {
        cause: error,
      });
    }
  }
}

type Message = InstanceType<typeof FfiRequest>['message'] & { case: RequestCase };

/** Undefined for a request that the bindings do not know. @throws OffhookError `OFFHOOK_INVALID_REQUEST` */
function decode(request: Uint8Array): Message | undefined {
  const { message } = fromBinary(request);
  return message.case === undefined ? undefined : message;
}

function fromBinary(request: Uint8Array) {
  try {
    return FfiRequest.fromBinary(request);
  } catch (cause) {
    throw new OffhookError(
      'OFFHOOK_INVALID_REQUEST',
      `the request is not an FfiRequest: ${describeError(cause)}`,
      { cause },
    );
  }
}
