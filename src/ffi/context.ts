import { FilterRegistry } from '../filters/index.js';
import { createLogger } from '../logging/index.js';
import type { ConnectionState } from '../room/index.js';
import type { SpanRecord } from '../timeline/index.js';
import { failureOf } from './callbacks.js';
import { type AddressSpace, EngineMemory, VirtualAddresses } from './engine-memory.js';
import { Handles } from './handles.js';
import type { CallbackCase, EventOf, InitOf } from './messages.js';
import { type EventInit, encodeEvent, Outbox } from './outbox.js';
import type { Delivery, LentBuffer, LibraryConnect, Promised } from './wire.js';

const log = createLogger('ffi');

/** The content of a callback but for its `asyncId`. */
type CallbackBody<Name extends CallbackCase> = Omit<InitOf<EventOf<Name>>, 'asyncId'>;

/** Where the steps of rooms go, each with the `asyncId` of its room's connect. */
export interface Tracer {
  step(connect: bigint, startedAtMs: number, step: Readonly<SpanRecord>): void;
  over(connect: bigint): void;
}

/** Takes what the library gets in addition to the protocol. */
export interface LibraryListener {
  failed(asyncId: bigint, error: unknown): void;
  connectionState(connect: bigint, state: ConnectionState): void;
}

/** What the handlers of requests share: handles, memory, and the way to the program. */
export class Context {
  readonly handles: Handles;
  readonly memory: EngineMemory;
  readonly outbox: Outbox;
  readonly filters = new FilterRegistry();
  /** Takes the steps of rooms; undefined while the program does not watch. */
  tracer: Tracer | undefined;
  /** As FfiServerOptions has them. */
  untilTaken: () => Promise<void> | undefined = () => undefined;
  untakenBytes: () => number = () => 0;
  /** Undefined unless the program is offhook's own library. */
  library: LibraryListener | undefined;
  /** What the library says of the connect that is the current request. */
  libraryConnect: LibraryConnect | undefined;
  /** The connects that are under way, by `asyncId`: the library may abandon one. */
  readonly connects = new Map<bigint, AbortController>();
  /** The callback that the program was promised before the current request came; taken by `call`. */
  promised: Promised | undefined;
  /** Variables of the program that came with the current request, for the process of a filter. */
  environment: Readonly<Record<string, string>> | undefined;
  #answerBuffers: LentBuffer[] = [];

  constructor(
    send: (delivery: Delivery) => void,
    addresses: AddressSpace = new VirtualAddresses(),
    handlesAbove = 0,
  ) {
    this.handles = new Handles(handlesAbove);
    this.memory = new EngineMemory(addresses);
    this.outbox = new Outbox(send);
  }

  /**
   * Answers a request with an id at once, and settles it with exactly one callback when `work` is done or has failed.
   *
   * @param work is given the id
   * @param requestedId the program's own choice of id, if it made one
   * @param afterwards runs once the callback was sent
   */
  call<Name extends CallbackCase>(
    name: Name,
    requestedId: bigint | undefined,
    work: (asyncId: bigint) => Promise<CallbackBody<Name>>,
    afterwards?: () => void,
  ): { asyncId: bigint } {
    const { promised } = this;
    this.promised = undefined;
    const asyncId = promised?.asyncId ?? requestedId ?? BigInt(this.handles.nextId());
    const open = promised?.id ?? this.outbox.open({ callback: name, asyncId });
    const callback = (body: object) => ({ case: name, value: { ...body, asyncId } }) as EventInit;
    const settle = (body: object) => {
      // First of all: content that cannot be encoded is a failure too.
      const event = encodeEvent(callback(body));
      this.outbox.close(open);
      this.outbox.send(event);
    };
    void work(asyncId)
      .then(settle)
      .catch((error: unknown) => {
        log.debug(`${name} failed: ${error instanceof Error ? error.stack : String(error)}`);
        this.library?.failed(asyncId, error);
        settle(failureOf[name](error));
      })
      .finally(afterwards);
    return { asyncId };
  }

  /** Settles a callback that was promised for a request that cannot be taken. */
  fail({ id, callback, asyncId }: Promised, error: unknown): void {
    this.library?.failed(asyncId, error);
    this.outbox.close(id);
    this.outbox.emit({ case: callback, value: { ...failureOf[callback](error), asyncId } } as EventInit);
  }

  /** A buffer that goes along with the answer to the current request. */
  answerWith(buffer: LentBuffer): void {
    this.#answerBuffers.push(buffer);
  }

  takeAnswerBuffers(): LentBuffer[] | undefined {
    return this.#answerBuffers.length > 0 ? this.#answerBuffers.splice(0) : undefined;
  }

  /** Hands `bytes` over to the program, under a handle of their own. */
  lendBuffer(bytes: Uint8Array): LentBuffer {
    const address = this.memory.allocate(bytes.length);
    return { address, bytes, handle: this.handles.nextId(), holds: 'own' };
  }

  /** Hands `bytes` over until the next buffer of the same object, or until its handle is dropped. */
  lendBufferOf(handle: number, bytes: Uint8Array): LentBuffer {
    return { address: this.memory.allocate(bytes.length), bytes, handle, holds: 'shared' };
  }
}
