import type { MessagePort } from 'node:worker_threads';
import type { ErrorCode, Stage } from '../errors/index.js';
import type { LogRecord } from '../logging/index.js';
import type { ConnectionState, ConnectOptions, SessionToLeave } from '../room/index.js';
import type { SpanRecord } from '../timeline/index.js';
import type { CallbackCase } from './messages.js';

/** Bytes at an address: a buffer that a request names, or one that an event or an answer hands over. */
export interface Attachment {
  address: number;
  bytes: Uint8Array;
}

/** A buffer of the engine's, kept beside the program until its handle is dropped. */
export interface LentBuffer extends Attachment {
  handle: number;
  /**
   * `own`: the handle is the buffer's alone, so dropping it concerns nobody else. `shared`: the handle is an object of
   * the engine's, whose next buffer takes the place of this one.
   */
  holds: 'own' | 'shared';
}

/** Something whose end the program waits for: a room, a call whose callback is owed, a stream. */
export interface Opened {
  id: number;
  /** What the program is owed should the engine be lost. */
  owed: Owed;
}

/** A callback, or the end of a room or of a stream. */
export type Owed =
  | { callback: CallbackCase; asyncId: bigint }
  | { roomHandle: bigint }
  | { stream: 'audioStreamEvent' | 'videoStreamEvent'; streamHandle: bigint }
  | { reader: 'byteStreamReaderEvent' | 'textStreamReaderEvent'; readerHandle: bigint };

/** What comes with every answer and every event; what is empty is left out, for it costs to send. */
export interface Delivery {
  bytes: Uint8Array;
  /** The handle that a stream's event is for: a program that has dropped it does not get what is still under way. */
  to?: number;
  buffers?: LentBuffer[];
  opened?: Opened[];
  /** Ids of what was opened and is over. */
  closed?: number[];
  /** How rooms are left should the engine be lost. */
  sessions?: RoomSession[];
}

/** How the room that `id` counts is left; over when there is no session. */
export interface RoomSession {
  id: number;
  session?: SessionToLeave;
}

export type Answer =
  | ({ id: number } & Delivery & {
        /** Bytes to be written into the program's own memory, where the request asked for it. */
        writes?: Attachment[];
      })
  | { id: number; error: string; record?: ErrorRecord }
  /** There will be no answers: the engine did not start. */
  | { id: 'start'; error: string };

/** An OffhookError on its way between threads. */
export interface ErrorRecord {
  code: ErrorCode;
  message: string;
  stage?: Stage;
  host?: string;
  elapsedMs?: number;
  advice?: string;
}

/** What the library says of a connect beyond what the protocol has a place for. */
export type LibraryConnect = Pick<
  ConnectOptions,
  'deadlines' | 'waitFor' | 'iceServers' | 'iceTransportPolicy' | 'maxReconnectAttempts'
> & { name: string };

/** A request that the program's thread has answered itself. */
export interface PostedRequest {
  bytes: Uint8Array;
  buffers: Attachment[];
  library?: LibraryConnect;
  /** The callback that the program was promised; undefined for a request that has none. */
  promised?: Promised;
}

export interface Promised {
  /** What `closed` says when the callback was sent. */
  id: number;
  callback: CallbackCase;
  asyncId: bigint;
}

/** From the program's thread to the engine's. */
export type ToEngine =
  | { type: 'initialize'; captureLogs: boolean; sdkVersion: string }
  | { type: 'request'; id: number; bytes: Uint8Array; buffers: Attachment[] }
  /** Requests that nobody waits for an answer to, in order. */
  | { type: 'posted'; requests: PostedRequest[] }
  /** The program writes what it captures for a source into shared memory from now on. */
  | { type: 'captureRing'; source: number; buffer: SharedArrayBuffer; numChannels: number }
  /** The program has written captures for a source that the engine does not play. */
  | { type: 'captured'; source: number }
  /** The library gives up a connect that is under way. */
  | { type: 'abandonConnect'; connect: bigint }
  /** Nobody waits for it: a handle was garbage-collected. */
  | { type: 'drop'; handle: number }
  /** Answered like a request. */
  | { type: 'dropNow'; id: number; handle: number }
  | { type: 'dispose' }
  /** The program watches with OpenTelemetry: steps of its rooms' timelines are sent to it from now on. */
  | { type: 'trace' }
  /** Answered like a request, with the status of every filter as JSON. */
  | { type: 'filterStatuses'; id: number }
  /** The process is ending: rooms are left at once. Answered like a request. */
  | { type: 'leave'; id: number };

/** From the engine's thread to the program's, in order. */
export type FromEngine =
  | EventsMessage
  /** No event of that handle comes after this. */
  | { type: 'dropped'; handle: number }
  | { type: 'disposed'; closed?: number[] }
  | TracedStep
  | LibraryNews
  /** The room is over: no step of it comes after this. */
  | { type: 'traceOver'; connect: bigint };

/** What happened in one turn of the engine, a tick for example. */
export interface EventsMessage {
  type: 'events';
  /** An EventBatch; undefined for none. */
  batch?: Uint8Array;
  opened?: Opened[];
  closed?: number[];
  /** Handles of the sources whose waiting captures have room now. */
  room?: number[];
}

/** What only the library gets, before the event of the protocol that says less. */
export type LibraryNews =
  /** Of a callback by its `asyncId`, of a stream by its handle. */
  | { type: 'failure'; asyncId: bigint; error: ErrorRecord }
  | { type: 'connectionState'; connect: bigint; state: ConnectionState }
  | { type: 'logs'; records: LogRecord[] };

/** A step of a room's timeline that has ended. */
export interface TracedStep {
  type: 'step';
  /** `asyncId` of the connect that the room began with. */
  connect: bigint;
  /** Wall-clock time at which the timeline began, in milliseconds since the epoch. */
  startedAtMs: number;
  step: SpanRecord;
}

/** One program of the process on the engine thread: sent to the thread as a message, once for each. */
export interface EngineClient {
  port: MessagePort;
  /** Answers alone, taken synchronously. */
  answers: MessagePort;
  /** One Int32 that grows with every answer, for `Atomics.wait`. */
  answered: SharedArrayBuffer;
  /** Two Int32, as EventsToCome takes them. */
  eventsTaken: SharedArrayBuffer;
  /** It is offhook's own library: it gets errors and connection states whole. */
  isLibrary: boolean;
}
