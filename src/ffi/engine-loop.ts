import { describeError, OffhookError } from '../errors/index.js';
import { createLogger } from '../logging/index.js';
import { answer } from './answers.js';
import { EventsToCome } from './events-to-come.js';
import { captureInto, type LogCapture, Logs } from './logs.js';
import CaptureRing from './program/capture-ring.cjs';
import { type FfiAnswer, FfiServer } from './server.js';
import type { EngineClient, ErrorRecord, FromEngine, ToEngine } from './wire.js';

/*
 * The engine thread: rooms, transports, codecs and timers run here, so that a program whose own thread is busy loses
 * no audio and no connection.
 */
const log = createLogger('ffi/engine');
const logs = new Logs();

const nothing = { bytes: new Uint8Array(0) };

function errorRecord(error: unknown): ErrorRecord {
  if (!(error instanceof OffhookError)) return { code: 'OFFHOOK_PROTOCOL', message: describeError(error) };
  const { code, message, stage, host, elapsedMs, advice } = error;
  return { code, message, stage, host, elapsedMs, advice };
}

/** Serves one client: the requests of a program, or of a library in it. They share the thread and nothing else. */
class ClientService {
  readonly #client: EngineClient;
  readonly #events: EventsToCome;
  readonly #server: FfiServer;
  readonly #capture: LogCapture;

  constructor(client: EngineClient) {
    this.#client = client;
    this.#events = new EventsToCome(client.port, client.eventsTaken);
    this.#server = new FfiServer({
      emit: (event) => this.#events.add(event),
      untilTaken: () => this.#events.untilTaken(),
      untakenBytes: () => this.#events.untakenBytes(),
    });
    this.#capture = client.isLibrary
      ? (records) => this.#send({ type: 'logs', records })
      : captureInto(this.#server.outbox);
    if (client.isLibrary) {
      this.#server.informLibrary({
        // Of any other error, the callback says all there is.
        failed: (asyncId, error) => {
          if (error instanceof OffhookError)
            this.#send({ type: 'failure', asyncId, error: errorRecord(error) });
        },
        connectionState: (connect, state) => this.#send({ type: 'connectionState', connect, state }),
      });
    }
    client.port.on('message', (message: ToEngine) => this.#onMessage(message));
  }

  /** After all events before it. */
  #send(message: FromEngine): void {
    this.#events.flush();
    this.#client.port.postMessage(message);
  }

  #answerWith(id: number, work: () => FfiAnswer): void {
    try {
      answer(this.#client, { id, ...work() });
    } catch (error) {
      answer(this.#client, {
        id,
        error: describeError(error),
        ...(this.#client.isLibrary ? { record: errorRecord(error) } : {}),
      });
    }
  }

  /** The program waits for it: what fails is logged. */
  async #disposeServer(): Promise<void> {
    try {
      await this.#server.dispose();
    } catch (error) {
      log.error(`a room or source could not be closed: ${describeError(error)}`);
    }
  }

  /** The process is ending. */
  async #leave(id: number): Promise<void> {
    await this.#disposeServer();
    this.#answerWith(id, () => ({ ...nothing, ...this.#server.outbox.takeOpenedAndClosed() }));
  }

  async #dispose(): Promise<void> {
    await this.#disposeServer();
    if (logs.capturedBy === this.#capture) logs.capturedBy = undefined;
    this.#send({ type: 'disposed', closed: this.#server.outbox.takeOpenedAndClosed().closed });
  }

  #onMessage(message: ToEngine): void {
    switch (message.type) {
      case 'request':
        this.#answerWith(message.id, () => this.#server.handle(message.bytes, message.buffers));
        return;
      case 'posted':
        for (const request of message.requests) this.#server.post(request);
        return;
      case 'captureRing': {
        const { source, buffer, numChannels } = message;
        this.#server.playFrom(source, new CaptureRing(buffer, numChannels), () =>
          this.#events.addRoom(source),
        );
        return;
      }
      case 'captured':
        this.#server.wakeSource(message.source);
        return;
      case 'abandonConnect':
        this.#server.abandonConnect(message.connect);
        return;
      case 'drop':
        this.#server.drop(message.handle);
        return;
      case 'dropNow':
        this.#answerWith(message.id, () => {
          if (!this.#server.drop(message.handle)) {
            throw new OffhookError(
              'OFFHOOK_UNKNOWN_HANDLE',
              `handle ${message.handle} is unknown: there is nothing to drop`,
            );
          }
          this.#send({ type: 'dropped', handle: message.handle });
          return { ...nothing, ...this.#server.outbox.takeOpenedAndClosed() };
        });
        return;
      case 'initialize':
        if (message.captureLogs) logs.capturedBy = this.#capture;
        log.debug(`the program initialized the engine; its SDK has version ${message.sdkVersion}`);
        return;
      case 'dispose':
        void this.#dispose();
        return;
      case 'trace':
        this.#server.trace({
          step: (connect, startedAtMs, step) => this.#send({ type: 'step', connect, startedAtMs, step }),
          over: (connect) => this.#send({ type: 'traceOver', connect }),
        });
        return;
      case 'filterStatuses':
        this.#answerWith(message.id, () => ({
          bytes: Buffer.from(JSON.stringify(this.#server.filterStatuses)),
        }));
        return;
      case 'leave':
        void this.#leave(message.id);
    }
  }
}

export function serve(client: EngineClient): void {
  new ClientService(client);
}

// Whatever went wrong, the calls that are up go on.
process.on('uncaughtException', (error) => log.error(`uncaught exception in the engine: ${error.stack}`));
process.on('unhandledRejection', (error) =>
  log.error(`unhandled rejection in the engine: ${describeError(error)}`),
);
