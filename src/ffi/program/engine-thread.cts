import type { Answer, Attachment, Delivery, FromEngine, Owed, ToEngine } from '../wire.js' with {
  'resolution-mode': 'import',
};

import path = require('node:path');
import threads = require('node:worker_threads');
import ProgramMemory = require('./program-memory.cjs');
import requestBuffer = require('./request-buffer.cjs');
import Telemetry = require('./telemetry.cjs');

/** The engine answers in microseconds; one that does not is stuck, and must not take the program with it. */
const answerDeadlineMs = 10_000;
/** The first answer comes when the engine has started, which takes its time on a machine that is busy. */
const startDeadlineMs = 60_000;
/** How long a process that ends waits for its rooms to be left. */
const leaveDeadlineMs = 2_000;

/** The engine lets go of nearly everything at once; a larger nursery only makes the process larger, by 10 MB. */
const youngGenerationMb = 8;

/** Whoever reads metrics is not kept waiting for an engine that is stuck. */
const statusDeadlineMs = 200;

type EventListener = (event: Uint8Array) => void;

/** `bytes` in a buffer of their own: a view is sent between threads with all of the memory behind it. */
function alone(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice();
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

/**
 * The engine's thread as the program's thread sees it: requests are answered synchronously, events arrive through the
 * event loop. The thread keeps the process alive only while a room is open or a callback is owed.
 */
class EngineThread {
  /** Takes every event. What it throws is the program's uncaught exception, and costs no other event. */
  onEvent: EventListener = () => {};
  #worker: threads.Worker;
  #port: threads.MessagePort;
  #answers: threads.MessagePort;
  #answered = new Int32Array(new SharedArrayBuffer(4));
  #memory = new ProgramMemory();
  #lastId = 0;
  #deadlineMs = startDeadlineMs;
  /** What is open, with what is owed should the thread be lost. */
  #open = new Map<number, Owed>();
  /** Handles that were dropped while events for them may still be under way. */
  #dropping = new Set<number>();
  #everOpen = false;
  #disposing: (() => void)[] = [];
  #lost: Error | undefined;
  #telemetry: Telemetry | undefined;

  constructor() {
    keepCodecLoaded();
    const requests = new threads.MessageChannel();
    const answers = new threads.MessageChannel();
    this.#port = requests.port1;
    this.#answers = answers.port1;
    this.#worker = new threads.Worker(path.join(__dirname, '..', 'engine.js'), {
      // The program's own --import and --require are not for this thread.
      execArgv: [],
      resourceLimits: { maxYoungGenerationSizeMb: youngGenerationMb },
      workerData: { port: requests.port2, answers: answers.port2, answered: this.#answered.buffer },
      transferList: [requests.port2, answers.port2],
    });
    this.#worker.on('error', (error) => this.#onLost(error));
    this.#worker.on('exit', (code) => this.#onLost(new Error(`it exited with code ${code}`)));
    this.#worker.unref();
    this.#port.on('message', (message: FromEngine) => this.#onMessage(message));
    this.#port.unref();
    process.once('exit', () => this.#leave());
  }

  initialize(captureLogs: boolean, sdkVersion: string): void {
    this.#post({ type: 'initialize', captureLogs, sdkVersion });
  }

  /**
   * Sends an encoded FfiRequest and waits for its FfiResponse.
   *
   * @throws Error with what the engine says, or when it does not answer
   */
  request(bytes: Uint8Array): Uint8Array {
    if (!this.#telemetry && Telemetry.isWanted) this.#beginTelemetry();
    const range = requestBuffer(bytes);
    const buffers: Attachment[] = range
      ? [{ address: range.address, bytes: this.copyOf(range.address, range.length) }]
      : [];
    return this.#ask((id) => ({ type: 'request', id, bytes: alone(bytes), buffers }));
  }

  /** Frees what belongs to `handle`. @throws Error when there is nothing */
  drop(handle: number): void {
    if (this.#memory.release(handle) === 'own') return;
    this.#dropping.add(handle);
    try {
      this.#ask((id) => ({ type: 'dropNow', id, handle }));
    } catch (error) {
      this.#dropping.delete(handle);
      throw error;
    }
  }

  /** As `drop`, for a handle that was garbage-collected: nobody waits, and nobody hears of an unknown one. */
  forget(handle: number): void {
    if (this.#memory.release(handle) === 'own' || this.#lost) return;
    this.#post({ type: 'drop', handle });
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
    this.#post({ type: 'dispose' });
    return new Promise((resolve) => {
      this.#disposing.push(resolve);
      this.#keepAliveIfOpen();
    });
  }

  #beginTelemetry(): void {
    this.#telemetry = new Telemetry(() => {
      if (this.#lost) return [];
      const statuses = this.#ask((id) => ({ type: 'filterStatuses', id }), statusDeadlineMs);
      return JSON.parse(Buffer.from(statuses).toString());
    });
    this.#post({ type: 'trace' });
  }

  #post(message: ToEngine): void {
    this.#port.postMessage(message);
  }

  #ask(messageFor: (id: number) => ToEngine, deadlineMs = this.#deadlineMs): Uint8Array {
    if (this.#lost) throw new Error(`offhook's engine thread is gone: ${this.#lost.message}`);
    const id = ++this.#lastId;
    const answer = this.#waitForAnswer(id, messageFor(id), deadlineMs);
    this.#deadlineMs = answerDeadlineMs;
    if ('error' in answer) throw new Error(answer.error);
    for (const { address, bytes } of answer.writes ?? []) this.#memory.view(address, bytes.length).set(bytes);
    this.#take(answer);
    return answer.bytes;
  }

  #waitForAnswer(id: number, message: ToEngine, deadlineMs: number): Answer {
    const untilMs = performance.now() + deadlineMs;
    let seen = Atomics.load(this.#answered, 0);
    this.#post(message);
    while (true) {
      const received = threads.receiveMessageOnPort(this.#answers);
      if (received) {
        const answer: Answer = received.message;
        if (answer.id === 'start') this.#lost = new Error(answer.error);
        // An earlier one is the late answer to a request that was given up.
        if (answer.id === id || answer.id === 'start') return answer;
        continue;
      }
      const remainingMs = untilMs - performance.now();
      if (remainingMs <= 0) {
        throw new Error(`offhook's engine thread did not answer within ${deadlineMs} ms`);
      }
      Atomics.wait(this.#answered, 0, seen, remainingMs);
      seen = Atomics.load(this.#answered, 0);
    }
  }

  #onMessage(message: FromEngine): void {
    if (message.type === 'dropped') {
      this.#dropping.delete(message.handle);
      return;
    }
    if (message.type === 'step') {
      void this.#telemetry?.step(message);
      return;
    }
    if (message.type === 'traceOver') {
      this.#telemetry?.over(message.connect);
      return;
    }
    if (message.type === 'disposed') {
      for (const id of message.closed ?? []) this.#open.delete(id);
      this.#disposing.shift()?.();
      this.#keepAliveIfOpen();
      return;
    }
    if (message.to !== undefined && this.#dropping.has(message.to)) {
      this.#take({ ...message, buffers: undefined });
      return;
    }
    this.#take(message);
    // One without bytes only tells of what was opened or closed.
    if (message.bytes.length > 0) this.onEvent(message.bytes);
  }

  #take({ buffers, opened, closed }: Delivery): void {
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
    if (this.#open.size > 0 || this.#disposing.length > 0) this.#port.ref();
    else this.#port.unref();
  }

  #onLost(error: Error): void {
    if (this.#lost) return;
    this.#lost = error;
    process.stderr.write(`offhook: the engine thread is gone, its rooms are disconnected: ${error.stack}\n`);
    const owed = [...this.#open.values()];
    this.#open.clear();
    for (const resolve of this.#disposing.splice(0)) resolve();
    this.#port.close();
    void this.#settle(owed);
  }

  /** Tells the program the end of what the lost thread leaves open. */
  async #settle(owed: Owed[]): Promise<void> {
    const { owedEvents } = await import('../owed-events.js');
    for (const event of owed.flatMap(owedEvents)) setImmediate(() => this.onEvent(event));
  }

  /** The process is ending: the servers are told, so that nobody waits for this participant to come back. */
  #leave(): void {
    if (this.#lost || !this.#everOpen) return;
    try {
      this.#ask((id) => ({ type: 'leave', id }), leaveDeadlineMs);
    } catch {
      // The process ends all the same.
    }
  }
}

export = EngineThread;
