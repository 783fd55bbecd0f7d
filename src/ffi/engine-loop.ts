import { workerData } from 'node:worker_threads';
import { shutdownTransport } from '../room/index.js';
import { createLogger, describeError, OffhookError } from '../timeline/index.js';
import { answer } from './answers.js';
import { EventsToCome } from './events-to-come.js';
import { Logs } from './logs.js';
import CaptureRing from './program/capture-ring.cjs';
import { type FfiAnswer, FfiServer } from './server.js';
import type { EngineThreadData, FromEngine, ToEngine } from './wire.js';

/*
 * The engine thread: rooms, transports, codecs and timers run here, so that a program whose own thread is busy loses
 * no audio and no connection.
 */
const { port, eventsTaken } = workerData as EngineThreadData;
const log = createLogger('ffi/engine');
const logs = new Logs();

const events = new EventsToCome(port, eventsTaken);
const server = new FfiServer({
  emit: (event) => events.add(event),
  untilTaken: () => events.untilTaken(),
});

/** After all events before it. */
function send(message: FromEngine): void {
  events.flush();
  port.postMessage(message);
}

function answerWith(id: number, work: () => FfiAnswer): void {
  try {
    answer({ id, ...work() });
  } catch (error) {
    answer({ id, error: describeError(error) });
  }
}

const nothing = { bytes: new Uint8Array(0) };

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/**
 * The process is ending. The WebRTC addon must have no callback under way when this thread is terminated: it would
 * abort the process.
 */
async function leave(id: number): Promise<void> {
  await server.dispose();
  await turn();
  shutdownTransport();
  await turn();
  answerWith(id, () => ({ ...nothing, ...server.outbox.takeOpenedAndClosed() }));
}

async function dispose(): Promise<void> {
  await server.dispose();
  logs.capturedBy = undefined;
  send({ type: 'disposed', closed: server.outbox.takeOpenedAndClosed().closed });
}

function onMessage(message: ToEngine): void {
  switch (message.type) {
    case 'request':
      answerWith(message.id, () => server.handle(message.bytes, message.buffers));
      return;
    case 'posted':
      for (const request of message.requests) server.post(request);
      return;
    case 'captureRing': {
      const { source, buffer, numChannels } = message;
      server.playFrom(source, new CaptureRing(buffer, numChannels), () => events.addRoom(source));
      return;
    }
    case 'captured':
      server.wakeSource(message.source);
      return;
    case 'drop':
      server.drop(message.handle);
      return;
    case 'dropNow':
      answerWith(message.id, () => {
        if (!server.drop(message.handle)) {
          throw new OffhookError(
            'OFFHOOK_UNKNOWN_HANDLE',
            `handle ${message.handle} is unknown: nothing to drop`,
          );
        }
        send({ type: 'dropped', handle: message.handle });
        return { ...nothing, ...server.outbox.takeOpenedAndClosed() };
      });
      return;
    case 'initialize':
      logs.capturedBy = message.captureLogs ? server.outbox : undefined;
      log.debug(`initialized for version ${message.sdkVersion} of the program's SDK`);
      return;
    case 'dispose':
      void dispose();
      return;
    case 'trace':
      server.trace({
        step: (connect, startedAtMs, step) => send({ type: 'step', connect, startedAtMs, step }),
        over: (connect) => send({ type: 'traceOver', connect }),
      });
      return;
    case 'filterStatuses':
      answerWith(message.id, () => ({ bytes: Buffer.from(JSON.stringify(server.filterStatuses)) }));
      return;
    case 'leave':
      void leave(message.id);
  }
}

// Whatever went wrong, the calls that are up go on.
process.on('uncaughtException', (error) => log.error(`uncaught: ${error.stack}`));
process.on('unhandledRejection', (error) => log.error(`unhandled rejection: ${describeError(error)}`));
process.on('exit', shutdownTransport);
port.on('message', onMessage);
