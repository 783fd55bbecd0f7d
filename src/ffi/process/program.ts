import type { Socket } from 'node:net';
import { describeError } from '../../errors/index.js';
import { limits } from '../../limits.js';
import { createLogger } from '../../logging/index.js';
import { leaveSession, type SessionToLeave } from '../../room/index.js';
import { owedEvents } from '../owed-events.js';
import { type FfiAnswer, FfiServer } from '../server.js';
import type { Delivery, LentBuffer } from '../wire.js';
import { Arena } from './arena.js';
import {
  encodeAnswer,
  encodeNote,
  encodeOwed,
  encodeSession,
  fromProgram,
  type Hello,
  type Message,
  MessageReader,
  readHandles,
  readHello,
  readRequest,
  readSession,
  toProgram,
} from './wire.js';

/** A room that has not been left by then is left to the server's own timeouts. */
const leaveDeadlineMs = 1_500;

const log = createLogger('ffi/process');

export interface ProgramOptions {
  /** Requests come in and answers go out. */
  requests: Socket;
  /** Events go out. */
  events: Socket;
  onHello?(hello: Hello, server: FfiServer): void;
  /** The program is gone, and its rooms were left. */
  onGone(): void;
}

/** A program behind the C library: its requests, its events, and the memory in its process that they point to. */
export class Program {
  #requests: Socket;
  #events: Socket;
  #options: ProgramOptions;
  #server: FfiServer | undefined;
  #arena: Arena | undefined;
  /** Address of the buffer that is lent under a handle. */
  #lent = new Map<number, number>();
  /** Messages of this turn of the event loop, which leave together. */
  #outgoing: Buffer[] = [];
  #outgoingBytes = 0;
  #taking: Promise<void> | undefined;
  #flushing = false;
  #gone = false;
  /** Rooms of the program's former engine that are being left. */
  #leaving = new Set<Promise<void>>();

  constructor(options: ProgramOptions) {
    this.#options = options;
    this.#requests = options.requests;
    this.#events = options.events;
    const reader = new MessageReader();
    this.#requests.on('data', (chunk: Buffer) => {
      try {
        for (const message of reader.push(chunk)) this.#onMessage(message);
      } catch (error) {
        log.error(`the program's connection was closed: ${describeError(error)}`);
        this.#leave();
      }
    });
    for (const socket of [this.#requests, this.#events]) {
      socket.on('error', (error) => log.debug(`error on the program's connection: ${error.message}`));
      socket.on('close', () => this.#leave());
    }
    // Nothing comes on it but its end.
    this.#events.resume();
  }

  #onMessage({ type, id, body }: Message): void {
    switch (type) {
      case fromProgram.hello:
        this.#onHello(readHello(body));
        return;
      case fromProgram.request:
        this.#answer(id, () => {
          const { request, memory, environment } = readRequest(body);
          return this.#running().handle(request, memory, environment);
        });
        return;
      case fromProgram.drop:
        this.#drop(id, readHandles(body));
        return;
      case fromProgram.free:
        for (const handle of readHandles(body)) this.#freeBuffer(handle);
        return;
      case fromProgram.leave:
        this.#leaveFor(readSession(body));
        return;
      case fromProgram.dispose:
        void Promise.all([this.#running().dispose(), ...this.#leaving]).finally(() =>
          this.#answer(id, () => ({ bytes: new Uint8Array(0) })),
        );
        return;
      default:
        log.warn(`the C library sent a message of unknown type ${type}`);
    }
  }

  #onHello(hello: Hello): void {
    this.#arena = new Arena(hello.arenaAddress, hello.arenaBytes);
    this.#server = new FfiServer({
      emit: (event) => this.#emit(event),
      untilTaken: () => this.#untilTaken(),
      untakenBytes: () => this.#untakenBytes(),
      addresses: this.#arena,
      handlesAbove: hello.handlesAbove,
    });
    log.info(`process ${hello.processId} (${hello.sdk} SDK ${hello.sdkVersion}) runs on the offhook engine`);
    this.#options.onHello?.(hello, this.#server);
  }

  #running(): FfiServer {
    if (!this.#server) throw new Error('the library sent a request before its hello');
    return this.#server;
  }

  #answer(id: number, work: () => FfiAnswer): void {
    let message: Buffer;
    try {
      const answer = work();
      this.#keep(answer.buffers);
      message = encodeAnswer(toProgram.answer, id, answer);
      // Before the answer: should this process end right then, the library can still give the program the events that follow.
      this.#note(answer);
      if (answer.opened) this.#flush();
    } catch (error) {
      const bytes = Buffer.from(describeError(error));
      message = encodeAnswer(toProgram.answer, id, { failed: true, bytes });
    }
    this.#requests.write(message);
  }

  #drop(id: number, handles: number[]): void {
    const [handle = 0] = handles;
    const wasLent = this.#freeBuffer(handle);
    const known = this.#running().drop(handle) || wasLent;
    const error = `handle ${handle} is unknown: it was dropped before, or never given out`;
    this.#requests.write(
      encodeAnswer(
        toProgram.answer,
        id,
        known ? { bytes: Buffer.alloc(0) } : { failed: true, bytes: Buffer.from(error) },
      ),
    );
    if (known) this.#send(encodeNote(toProgram.dropped, handle));
  }

  /** Runs for every event: a frame of each stream a hundred times a second. */
  #emit(event: Delivery): void {
    this.#keep(event.buffers);
    this.#note(event);
    if (event.bytes.length > 0) {
      this.#send(
        encodeAnswer(toProgram.event, event.to ?? 0, { bytes: event.bytes, buffers: event.buffers }),
      );
    }
  }

  /** Leaves a room of the program's former engine. */
  #leaveFor(session: SessionToLeave): void {
    const left = leaveSession(session, leaveDeadlineMs)
      .then(() => log.info(`left a room of an engine that has ended`))
      .catch((error: unknown) =>
        log.info(`could not leave a room of an engine that has ended: ${describeError(error)}`),
      )
      .finally(() => this.#leaving.delete(left));
    this.#leaving.add(left);
  }

  /** Tells the library what the program must still hear, and which rooms are left, should this process be lost. */
  #note({ opened = [], closed = [], sessions = [] }: Pick<Delivery, 'opened' | 'closed' | 'sessions'>): void {
    for (const session of sessions) this.#send(encodeSession(session));
    for (const { id, owed } of opened) this.#send(encodeOwed(id, owedEvents(owed)));
    for (const id of closed) this.#send(encodeNote(toProgram.settled, id));
  }

  #untilTaken(): Promise<void> | undefined {
    if (this.#gone || this.#untakenBytes() <= limits.untakenBytes.value) return undefined;
    // What is unsent is so much that writing it says no: there will be a 'drain'.
    this.#taking ??= new Promise((resolve) => {
      const taken = () => {
        this.#events.off('drain', taken).off('close', taken);
        this.#taking = undefined;
        resolve();
      };
      this.#events.once('drain', taken).once('close', taken);
    });
    return this.#taking;
  }

  #untakenBytes(): number {
    return this.#events.writableLength + this.#outgoingBytes;
  }

  #keep(buffers: readonly LentBuffer[] = []): void {
    for (const { handle, address } of buffers) {
      this.#freeBuffer(handle);
      this.#lent.set(handle, address);
    }
  }

  #freeBuffer(handle: number): boolean {
    const address = this.#lent.get(handle);
    if (address === undefined) return false;
    this.#lent.delete(handle);
    this.#arena?.free(address);
    return true;
  }

  #send(message: Buffer): void {
    this.#outgoing.push(message);
    this.#outgoingBytes += message.length;
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#flushing = false;
    const messages = this.#outgoing;
    this.#outgoing = [];
    this.#outgoingBytes = 0;
    if (this.#gone || messages.length === 0) return;
    this.#events.write(messages.length === 1 ? messages[0]! : Buffer.concat(messages));
  }

  #leave(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#requests.destroy();
    this.#events.destroy();
    const deadline = new Promise((resolve) => setTimeout(resolve, leaveDeadlineMs));
    const left = Promise.all([this.#server?.dispose(), ...this.#leaving]);
    void Promise.race([left, deadline]).finally(() => this.#options.onGone());
  }
}
