import { connect, Socket } from 'node:net';
import { describeError } from '../../errors/index.js';
import { createLogger } from '../../logging/index.js';
import { checkEnvironment } from '../environment.js';
import { captureInto, Logs } from '../logs.js';
import { Program } from './program.js';

/** Descriptors that the C library gives an engine which it started. */
const requestsFd = 3;
const eventsFd = 4;

checkEnvironment();
const log = createLogger('ffi/process');
const logs = new Logs();

/*
 * The engine of one program: a process that the C library started, or that a listening engine keeps ready. It lives as long
 * as the program's connection, and no signal that is meant for the program ends it before the rooms are left.
 */
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
// Whatever went wrong, the calls that are up go on.
process.on('uncaughtException', (error) => log.error(`uncaught exception in the engine: ${error.stack}`));
process.on('unhandledRejection', (error) =>
  log.error(`unhandled rejection in the engine: ${describeError(error)}`),
);

function serve(requests: Socket, events: Socket): void {
  new Program({
    requests,
    events,
    onHello: ({ captureLogs }, server) => {
      logs.capturedBy = captureLogs ? captureInto(server.outbox) : undefined;
    },
    onGone: () => process.exit(0),
  });
}

if (process.send) {
  let events: Socket | undefined;
  const exitUnused = () => process.exit(0);
  process.once('disconnect', exitUnused);
  process.on('message', (name: string, socket: Socket) => {
    if (name === 'events') events = socket;
    if (name !== 'requests' || !events) return;
    process.removeListener('disconnect', exitUnused);
    // The process that handed the program over may end first. Not from within the message: Node still uses the channel.
    setImmediate(() => process.disconnect());
    serve(socket, events);
    // The library waits for this with its first message: what was read before would have been lost.
    socket.write(Buffer.of(1));
  });
} else if (process.argv[2] === '--pipes') {
  // Windows hands no descriptors down: the library waits at two named pipes.
  const [requests = '', events = ''] = process.argv[3]?.split(',') ?? [];
  serve(connect(requests), connect(events));
} else {
  serve(new Socket({ fd: requestsFd }), new Socket({ fd: eventsFd }));
}
