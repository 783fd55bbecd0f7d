import type {
  Answer,
  Attachment,
  Delivery,
  EngineClient,
  ErrorRecord,
  EventsMessage,
  FromEngine,
  LibraryConnect,
  LibraryNews,
  Owed,
  PostedRequest,
  ToEngine,
  TracedStep,
} from '../wire.js' with { 'resolution-mode': 'import' };

import path = require('node:path');
import threads = require('node:worker_threads');
import AudioRequests = require('./audio-requests.cjs');
import Captures = require('./captures.cjs');
import EventBatch = require('./event-batch.cjs');
import ProgramMemory = require('./program-memory.cjs');
import ProgramRequest = require('./program-request.cjs');
import Telemetry = require('./telemetry.cjs');
import wireFormat = require('./wire-format.cjs');

/** The engine answers in microseconds; one that does not is stuck, and must not take the program with it. */
const answerDeadlineMs = 10_000;
/** The first answer comes when the engine has started, which takes its time on a machine that is busy. */
const startDeadlineMs = 60_000;
/** How long a process that ends waits for its rooms to be left. */
const leaveDeadlineMs = 2_000;

/** The engine lets go of nearly everything at once; a larger nursery only makes the process larger, by 10 MB. */
const youngGenerationMb = 8;

/** A reader of metrics does not wait longer for an engine that is stuck. */
const statusDeadlineMs = 200;

/** Ids that this thread gives out are far above the engine's own. */
const firstId = 2 ** 40;

const { messageField, numberField, numberWithin } = wireFormat;

/** The protocol's field numbers. */
const kinds = { newAudioSource: 26, captureAudioFrame: 27, clearAudioBuffer: 28 };
const responses = { clearAudioBuffer: 28 };
const handleOfNewSource = [kinds.newAudioSource, 1, 1, 1];
const captureEvent = 13;
const asyncIdField = 1;

/** An encoded FfiResponse that holds nothing, or the id of the callback to come. */
function responseOf(field: number, asyncId: number | undefined): Uint8Array {
  return Uint8Array.from(
    messageField(field, asyncId === undefined ? [] : numberField(asyncIdField, asyncId)),
  );
}

type Event = Pick<Delivery, 'bytes' | 'to' | 'buffers'>;
type EventListener = (event: Uint8Array) => void;

/** `bytes` in a buffer of their own: a view is sent between threads with all of the memory behind it. */
function alone(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice();
}

/** A picture is moved to the engine's thread, not copied once more. Below that size, moving costs more than copying. */
const transferFromBytes = 65_536;

/** What of these requests is moved: copies that nobody else reads. Once for each message to the engine. */
function pictures(requests: readonly { buffers: readonly { bytes: Uint8Array }[] }[]): ArrayBuffer[] {
  const moved: ArrayBuffer[] = [];
  for (const { buffers } of requests) {
    for (const { bytes } of buffers) {
      const { buffer, byteLength } = bytes;
      const isWhole = byteLength >= transferFromBytes && byteLength === buffer.byteLength;
      if (isWhole && buffer instanceof ArrayBuffer) moved.push(buffer);
    }
  }
  return moved;
}

/**
 * Loads the codec's addon in this thread too. One that only the engine's thread has loaded is unmapped when that thread
 * ends, before its thread-local destructors run, and the process crashes on its way out.
 */
function keepCodecLoaded(): void {
  try {
    require('@evan/opus/node/index.js');
  } catch {
    // No binary for this platform: the engine uses WebAssembly, which has no such trouble.
  }
}

function answerError(answer: Extract<Answer, { error: string }>): Error {
  return new Error(answer.error, 'record' in answer ? { cause: answer.record } : undefined);
}

/** What this thread itself says of a request, as the engine would: with a code in the text, and as a record. */
function failure(record: ErrorRecord): Error {
  const advice = record.advice ? ` ${record.advice}` : '';
  return new Error(`${record.message}.${advice} [${record.code}]`, { cause: record });
}

const gone = (reason: string): ErrorRecord => ({
  code: 'OFFHOOK_CLOSED',
  message: `offhook's engine thread has ended: ${reason}`,
});

/** A request holds what cannot be sent to another thread: a function, a symbol, a buffer that was transferred. */
const notCloned = (error: unknown): ErrorRecord => ({
  code: 'OFFHOOK_INVALID_REQUEST',
  message: `the request cannot be sent to the engine thread: ${error instanceof Error ? error.message : String(error)}`,
  advice: 'Give numbers, texts, flags, and buffers that are not transferred elsewhere.',
});

let thread: { worker: threads.Worker; clients: threads.MessagePort } | undefined;

/** The thread of this process, and the port that it takes its clients from; they all share it. */
function engineThread() {
  if (thread) return thread;
  const clients = new threads.MessageChannel();
  const worker = new threads.Worker(path.join(__dirname, '..', '..', 'engine', 'main.js'), {
    // The program's own --import and --require are not for this thread.
    execArgv: [],
    resourceLimits: { maxYoungGenerationSizeMb: youngGenerationMb },
    workerData: clients.port2,
    transferList: [clients.port2],
  });
  worker.once('exit', () => {
    thread = undefined;
  });
  worker.unref();
  clients.port1.unref();
  thread = { worker, clients: clients.port1 };
  return thread;
}

/**
 * The engine's thread as the program's thread sees it: requests are answered synchronously, events arrive through the
 * event loop. The thread keeps the process alive only while a room is open or a callback is owed.
 */
class EngineThread {
  /** Takes every event. What it throws is the program's uncaught exception, and costs no other event. */
  onEvent: EventListener = () => {};
  /** Takes what only the library gets, in order with the events. */
  onNews: (news: LibraryNews) => void = () => {};
  /** Takes the steps of rooms' timelines, once `trace` was called. */
  onStep: ((step: TracedStep) => void) | undefined;
  #port: threads.MessagePort;
  #answers: threads.MessagePort;
  #answered = new Int32Array(new SharedArrayBuffer(4));
  #eventsTaken = new Int32Array(new SharedArrayBuffer(8));
  #memory = new ProgramMemory();
  #captures: Captures;
  #audio: AudioRequests;
  #posted: PostedRequest[] = [];
  /** How much of what the engine has sent waits for a turn of its own. */
  #turnsToCome = 0;
  #lastId = 0;
  #lastPostedId = firstId;
  #deadlineMs = startDeadlineMs;
  /** What is open, with what is owed should the thread be lost. */
  #open = new Map<number, Owed>();
  /** Handles that were dropped while events for them may still be under way. */
  #dropping = new Set<number>();
  #keepsAlive = false;
  #everOpen = false;
  #disposing: (() => void)[] = [];
  #lost: Error | undefined;
  #telemetry: Telemetry | undefined;

  /** @param isLibrary whether the client is offhook's own library, not a program that speaks the protocol */
  constructor(isLibrary = false) {
    keepCodecLoaded();
    const requests = new threads.MessageChannel();
    const answers = new threads.MessageChannel();
    this.#port = requests.port1;
    this.#answers = answers.port1;
    const client: EngineClient = {
      port: requests.port2,
      answers: answers.port2,
      answered: this.#answered.buffer,
      eventsTaken: this.#eventsTaken.buffer,
      isLibrary,
    };
    const { worker, clients } = engineThread();
    clients.postMessage(client, [requests.port2, answers.port2]);
    worker.on('error', (error) => this.#onLost(error));
    worker.on('exit', (code) => this.#onLost(new Error(`it exited with code ${code}`)));
    this.#port.on('message', (message: FromEngine) => this.#onMessage(message));
    this.#port.unref();
    process.once('exit', () => this.#leave());
    this.#audio = new AudioRequests(this.#memory, this.#newId);
    this.#captures = new Captures({
      memory: this.#memory,
      attach: (source, { buffer, numChannels }) =>
        this.#post({ type: 'captureRing', source, buffer, numChannels }),
      wake: (source) => this.#post({ type: 'captured', source }),
      onCaptured: (ids) => this.#onCaptured(ids),
    });
  }

  /** The thread has ended; every request fails. */
  get isLost(): boolean {
    return this.#lost !== undefined;
  }

  initialize(captureLogs: boolean, sdkVersion: string): void {
    this.#post({ type: 'initialize', captureLogs, sdkVersion });
  }

  /**
   * Takes an encoded FfiRequest. One that is answered by the id of its callback is sent to the engine without waiting
   * for it; what is wrong with it comes with the callback.
   *
   * @param library what goes along with a connect of the library
   * @returns the encoded FfiResponse
   * @throws Error with what the engine says, or when it does not answer; to the library, an ErrorRecord is its cause
   */
  request(bytes: Uint8Array, library?: LibraryConnect): Uint8Array {
    if (!this.#telemetry && Telemetry.isWanted) this.#beginTelemetry();
    const request = new ProgramRequest(bytes);
    if (!this.#lost && request.kind === kinds.clearAudioBuffer && this.#captures.clear(request)) {
      return responseOf(responses.clearAudioBuffer, undefined);
    }
    const ownAnswer = this.#audio.answer(request);
    if (ownAnswer) return ownAnswer;
    const { postable } = request;
    if (this.#lost || !postable) return this.#answerOf(request, bytes);
    return responseOf(
      postable.response,
      this.#captured(request) ?? this.#postRequest(request, bytes, library),
    );
  }

  /** @returns the id of the callback of a captured frame; undefined for a request that the engine must be sent */
  #captured(request: ProgramRequest): number | undefined {
    if (request.kind !== kinds.captureAudioFrame) return undefined;
    const id = this.#captures.capture(request, this.#newId);
    if (id !== undefined) this.#keepAliveIfOpen();
    return id;
  }

  #answerOf(request: ProgramRequest, bytes: Uint8Array): Uint8Array {
    const buffers = this.#buffersOf(request);
    const answer = this.#ask((id) => ({ type: 'request', id, bytes: alone(bytes), buffers }));
    if (request.kind === kinds.newAudioSource) {
      const handle = numberWithin(answer, handleOfNewSource);
      if (handle !== undefined) this.#captures.opened(handle, request);
    }
    return answer;
  }

  /** @returns the id of the callback; undefined for a request that has none */
  #postRequest(request: ProgramRequest, bytes: Uint8Array, library?: LibraryConnect): number | undefined {
    const posted: PostedRequest = { bytes: alone(bytes), buffers: this.#buffersOf(request) };
    if (library) posted.library = library;
    const { later } = request.postable!;
    let asyncId: number | undefined;
    if (later) {
      const id = this.#newId();
      asyncId = request.numbers.get(later.idField) ?? id;
      const { callback } = later;
      const owed = { callback, asyncId: BigInt(asyncId) };
      posted.promised = { id, ...owed };
      this.#open.set(id, owed);
      this.#telemetry?.opened({ id, owed });
      this.#everOpen = true;
      this.#keepAliveIfOpen();
    }
    this.#posted.push(posted);
    // After what is to be done in this turn, promises included: a program that does several things at once sends them at once.
    if (this.#posted.length === 1) queueMicrotask(() => process.nextTick(this.#flush));
    return asyncId;
  }

  #buffersOf(request: ProgramRequest): Attachment[] {
    const range = request.buffer();
    return range ? [{ address: range.address, bytes: this.copyOf(range.address, range.length) }] : [];
  }

  #newId = (): number => ++this.#lastPostedId;

  /** Frees what belongs to `handle`. @throws Error when there is nothing */
  drop(handle: number): void {
    if (this.#memory.release(handle) === 'own' || this.#audio.drop(handle)) return;
    this.#captures.drop(handle);
    this.#dropping.add(handle);
    try {
      this.#ask((id) => ({ type: 'dropNow', id, handle }));
    } catch (error) {
      this.#dropping.delete(handle);
      throw error;
    }
  }

  /** Drops a handle that was garbage-collected. Nobody waits for it, and an unknown handle is ignored. */
  forget(handle: number): void {
    if (this.#memory.release(handle) === 'own' || this.#audio.drop(handle) || this.#lost) return;
    this.#captures.drop(handle);
    this.#post({ type: 'drop', handle });
  }

  /** Cancels a connect that is under way, by its `asyncId`. */
  abandonConnect(connect: bigint): void {
    if (!this.#lost) this.#post({ type: 'abandonConnect', connect });
  }

  addressOf(bytes: Uint8Array): number {
    return this.#memory.addressOf(bytes);
  }

  /** @throws RangeError for memory that is not there */
  copyOf(address: number, length: number): Uint8Array {
    return this.#memory.view(address, length).slice();
  }

  /** Leaves every room and drops every handle. */
  dispose(): Promise<void> {
    if (this.#lost) return Promise.resolve();
    this.#captures.dropAll();
    this.#audio.dropAll();
    this.#post({ type: 'dispose' });
    return new Promise((resolve) => {
      this.#disposing.push(resolve);
      this.#keepAliveIfOpen();
    });
  }

  /** Steps of rooms' timelines are handed to `onStep` from now on. */
  trace(): void {
    this.#post({ type: 'trace' });
  }

  #beginTelemetry(): void {
    this.#telemetry = new Telemetry(() => {
      if (this.#lost) return [];
      const statuses = this.#ask((id) => ({ type: 'filterStatuses', id }), statusDeadlineMs);
      return JSON.parse(Buffer.from(statuses).toString());
    });
    this.#post({ type: 'trace' });
  }

  #flush = (): void => {
    if (this.#posted.length === 0 || this.#lost) return;
    const requests = this.#posted;
    this.#posted = [];
    try {
      this.#sendPosted(requests);
    } catch {
      // Nothing was sent. One of them cannot be cloned, which must not cost the others.
      for (const request of requests) {
        try {
          this.#sendPosted([request]);
        } catch (error) {
          this.#refuse(request, notCloned(error));
        }
      }
    }
  };

  /** @throws DataCloneError when one of them cannot be cloned; none is sent then */
  #sendPosted(requests: PostedRequest[]): void {
    this.#port.postMessage({ type: 'posted', requests } satisfies ToEngine, pictures(requests));
  }

  #refuse({ promised }: PostedRequest, reason: ErrorRecord): void {
    if (!promised) {
      process.stderr.write(`offhook: ${failure(reason).message}\n`);
      return;
    }
    const owed = this.#open.get(promised.id);
    this.#open.delete(promised.id);
    if (owed) void this.#settle([owed], reason).finally(() => this.#keepAliveIfOpen());
  }

  /** After what was posted before. */
  #post(message: ToEngine): void {
    this.#flush();
    this.#port.postMessage(message);
  }

  #ask(messageFor: (id: number) => ToEngine, deadlineMs = this.#deadlineMs): Uint8Array {
    if (this.#lost) throw failure(gone(this.#lost.message));
    const id = ++this.#lastId;
    const answer = this.#waitForAnswer(id, messageFor(id), deadlineMs);
    this.#deadlineMs = answerDeadlineMs;
    if ('error' in answer) throw answerError(answer);
    for (const { address, bytes } of answer.writes ?? []) this.#memory.view(address, bytes.length).set(bytes);
    this.#take(answer);
    return answer.bytes;
  }

  #waitForAnswer(id: number, message: ToEngine, deadlineMs: number): Answer {
    const untilMs = performance.now() + deadlineMs;
    let seen = Atomics.load(this.#answered, 0);
    this.#flush();
    try {
      this.#port.postMessage(message);
    } catch (error) {
      throw failure(notCloned(error));
    }
    while (true) {
      const received = threads.receiveMessageOnPort(this.#answers);
      if (received) {
        const answer: Answer = received.message;
        if (answer.id === 'start') this.#onLost(new Error(answer.error));
        // An earlier one is the late answer to a request that was given up.
        if (answer.id === id || answer.id === 'start') return answer;
        continue;
      }
      const remainingMs = untilMs - performance.now();
      if (remainingMs <= 0) {
        const late = `offhook's engine thread did not answer within ${deadlineMs} ms`;
        throw failure({ code: 'OFFHOOK_DEADLINE', message: late });
      }
      Atomics.wait(this.#answered, 0, seen, remainingMs);
      seen = Atomics.load(this.#answered, 0);
    }
  }

  #onMessage(message: FromEngine): void {
    this.#inTurns(message.type === 'events' ? this.#eventsOf(message) : [() => this.#onWord(message)]);
  }

  #onWord(message: Exclude<FromEngine, EventsMessage>): void {
    if (message.type === 'dropped') {
      this.#dropping.delete(message.handle);
      return;
    }
    if (message.type === 'failure' || message.type === 'connectionState' || message.type === 'logs') {
      this.onNews(message);
      return;
    }
    if (message.type === 'step') {
      this.onStep?.(message);
      void this.#telemetry?.step(message);
      return;
    }
    if (message.type === 'traceOver') {
      this.#telemetry?.over(message.connect);
      return;
    }
    for (const id of message.closed ?? []) this.#open.delete(id);
    this.#disposing.shift()?.();
    this.#keepAliveIfOpen();
  }

  /** What to do about each of a message's events. Frames are handed over together. */
  #eventsOf({ batch, opened, closed, room }: EventsMessage): (() => void)[] {
    Atomics.add(this.#eventsTaken, 0, 1);
    this.#take({ opened });
    const works: (() => void)[] = [];
    let frames: Event[] | undefined;
    for (const event of batch ? EventBatch.read(batch) : []) {
      if (event.to === undefined) {
        frames = undefined;
        works.push(() => this.#deliver(event));
      } else if (frames) {
        frames.push(event);
      } else {
        const together = [event];
        frames = together;
        works.push(() => {
          for (const frame of together) this.#deliver(frame);
        });
      }
    }
    if (closed || room) {
      works.push(() => {
        for (const source of room ?? []) this.#captures.hasRoom(source);
        this.#take({ closed });
      });
    }
    if (batch) {
      // What the program has yet to see counts as waiting, on this side too.
      const last = works.pop()!;
      works.push(() => {
        last();
        Atomics.add(this.#eventsTaken, 1, batch.length);
      });
    }
    return works;
  }

  /**
   * Does one after the other, after all that came before, each in a turn of its own: a program's promises are settled
   * in between, as they are when the native engine calls it for each event.
   */
  #inTurns(works: (() => void)[]): void {
    for (const [index, work] of works.entries()) {
      if (index === 0 && this.#turnsToCome === 0) {
        work();
        continue;
      }
      this.#turnsToCome++;
      setImmediate(() => {
        this.#turnsToCome--;
        work();
      });
    }
  }

  #deliver({ bytes, to, buffers }: Event): void {
    if (to !== undefined && this.#dropping.has(to)) return;
    this.#take({ buffers });
    try {
      this.onEvent(bytes);
    } catch (error) {
      // As an exception of its own: what comes after is delivered.
      process.nextTick(() => {
        throw error;
      });
    }
  }

  /** Captures have been written, and there is room for more. */
  #onCaptured(ids: number[]): void {
    this.#keepAliveIfOpen();
    for (const id of ids) {
      const bytes = Uint8Array.from(messageField(captureEvent, numberField(asyncIdField, id)));
      this.#deliver({ bytes });
    }
  }

  #take({ buffers, opened, closed }: Partial<Delivery>): void {
    for (const buffer of buffers ?? []) this.#memory.lend(buffer);
    if (!opened && !closed) return;
    this.#everOpen ||= opened !== undefined;
    for (const item of opened ?? []) {
      this.#open.set(item.id, item.owed);
      this.#telemetry?.opened(item);
    }
    for (const id of closed ?? []) this.#open.delete(id);
    this.#keepAliveIfOpen();
  }

  #keepAliveIfOpen(): void {
    const keepAlive = this.#isAwaited || this.#disposing.length > 0 || this.#captures.isOwed;
    if (keepAlive === this.#keepsAlive) return;
    this.#keepsAlive = keepAlive;
    if (keepAlive) this.#port.ref();
    else this.#port.unref();
  }

  /** A room is open, or a callback is owed: streams end with their rooms. */
  get #isAwaited(): boolean {
    for (const owed of this.#open.values()) if ('roomHandle' in owed || 'callback' in owed) return true;
    return false;
  }

  #onLost(error: Error): void {
    if (this.#lost) return;
    this.#lost = error;
    process.stderr.write(
      `offhook: the engine thread has ended, its rooms are disconnected: ${error.stack}\n`,
    );
    const captures = this.#captures.takeAll().map((id) => {
      return { callback: 'captureAudioFrame', asyncId: BigInt(id) } as const;
    });
    const owed = [...captures, ...this.#open.values()];
    this.#open.clear();
    for (const resolve of this.#disposing.splice(0)) resolve();
    this.#port.close();
    void this.#settle(owed, gone(error.message));
  }

  /** Tells the program the end of what the engine does not settle, each in a turn of its own. */
  async #settle(owed: Owed[], error: ErrorRecord): Promise<void> {
    const { owedEvents } = await import('../owed-events.js');
    for (const item of owed) {
      // A room that has ended has been left: that is no failure of `disconnect`.
      if ('callback' in item && item.callback !== 'disconnect') {
        const { asyncId } = item;
        setImmediate(() => this.onNews({ type: 'failure', asyncId, error }));
      }
      for (const bytes of owedEvents(item, error)) setImmediate(() => this.#deliver({ bytes }));
    }
  }

  /** The process is ending: the servers are told, so that nobody waits for this participant to come back. */
  #leave(): void {
    if (this.#lost || !this.#everOpen) return;
    try {
      this.#ask((id) => ({ type: 'leave', id }), leaveDeadlineMs);
    } catch {
      // The process is ending anyway.
    }
  }
}

export = EngineThread;
