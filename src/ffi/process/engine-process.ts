import { connect, Socket } from 'node:net';
import { describeError } from '../../errors/index.js';
import { createLogger } from '../../logging/index.js';
import { checkEnvironment } from '../environment.js';
import { captureInto, Logs } from '../logs.js';
import { aloneArgument, type FromMember, type ToMember } from './member.js';
import { Program } from './program.js';

/** Descriptors that the C library gives an engine which it started. */
const requestsFd = 3;
const eventsFd = 4;

checkEnvironment();
const log = createLogger('ffi/process');
const logs = new Logs();

/*
 * An engine in a process: of the one program whose C library started it, or of programs that a listening engine hands over. It
 * lives as long as its programs' connections, and no signal that is meant for a program ends it before the rooms are left.
 */
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
// Whatever went wrong, the calls that are up go on.
process.on('uncaughtException', (error) => log.error(`uncaught exception in the engine: ${error.stack}`));
process.on('unhandledRejection', (error) =>
  log.error(`unhandled rejection in the engine: ${describeError(error)}`),
);

/** @param isAlone the program is the only one, and may get the log of this process */
function serve(requests: Socket, events: Socket, isAlone: boolean, onGone: () => void): void {
  new Program({
    requests,
    events,
    onHello: ({ captureLogs }, server) => {
      if (isAlone) logs.capturedBy = captureLogs ? captureInto(server.outbox) : undefined;
    },
    onGone,
  });
}

/** Serves what the process that started this one hands over, and ends when that one lets it and nobody is served. */
function serveHandedOver(send: (message: FromMember) => void): void {
  const isAlone = process.argv.includes(aloneArgument);
  const halves = new Map<number, Socket>();
  let programs = 0;
  let isReleased = false;
  const onGone = (program: number) => {
    programs--;
    if (!isReleased) send({ is: 'gone', program });
    else if (programs === 0) process.exit(0);
  };
  process.once('disconnect', () => {
    isReleased = true;
    if (programs === 0) process.exit(0);
  });
  process.on('message', ({ channel, program }: ToMember, socket: Socket | undefined) => {
    // Of a program that ended while it was handed over Node brings the message alone, perhaps several times.
    if (channel === 'events') {
      if (socket) halves.set(program, socket);
      return;
    }
    const events = halves.get(program);
    halves.delete(program);
    if (!socket || !events) {
      socket?.destroy();
      events?.destroy();
      send({ is: 'gone', program });
      return;
    }
    programs++;
    serve(socket, events, isAlone, () => onGone(program));
    // The library waits for this with its first message: what was read before would have been lost.
    socket.write(Buffer.of(1));
  });
  // It may have been let go before it had started.
  if (!process.connected) process.exit(0);
  send({ is: 'ready' });
}

const exit = () => process.exit(0);
if (process.send) {
  serveHandedOver((message) => {
    // An error is the end of the other process, which 'disconnect' reports.
    if (process.connected) process.send?.(message, undefined, undefined, () => {});
  });
} else if (process.argv[2] === '--pipes') {
  // Windows hands no descriptors down: the library waits at two named pipes.
  const [requests = '', events = ''] = process.argv[3]?.split(',') ?? [];
  serve(connect(requests), connect(events), true, exit);
} else {
  serve(new Socket({ fd: requestsFd }), new Socket({ fd: eventsFd }), true, exit);
}
