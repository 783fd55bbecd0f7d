import { Socket } from 'node:net';
import { shutdownTransport } from '../../room/index.js';
import { createLogger, describeError } from '../../timeline/index.js';
import { Logs } from '../logs.js';
import { Program } from './program.js';

/** Descriptors that the C library gives its engine. */
const requestsFd = 3;
const eventsFd = 4;

const log = createLogger('ffi/process');

/*
 * The engine of one program: a process that the C library started. It lives as long as the program's connection, and no
 * signal that is meant for the program ends it before the rooms are left.
 */
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
// Whatever went wrong, the calls that are up go on.
process.on('uncaughtException', (error) => log.error(`uncaught: ${error.stack}`));
process.on('unhandledRejection', (error) => log.error(`unhandled rejection: ${describeError(error)}`));

const logs = new Logs();

function end(): void {
  shutdownTransport();
  process.exit(0);
}

new Program({
  requests: new Socket({ fd: requestsFd, readable: true, writable: true }),
  events: new Socket({ fd: eventsFd, readable: true, writable: true }),
  onHello: ({ captureLogs }, server) => {
    logs.capturedBy = captureLogs ? server.outbox : undefined;
  },
  onGone: end,
});
process.on('exit', shutdownTransport);
