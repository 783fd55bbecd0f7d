import { setPriority } from 'node:os';
import { parseArgs } from 'node:util';
import { describeError } from '../../errors/index.js';
import { createLogger } from '../../logging/index.js';
import { checkEnvironment } from '../environment.js';
import { Logs } from '../logs.js';
import { ListeningEngine } from './listening-engine.js';

/*
 * An engine that waits for programs: `node listen.js --address PATH [--mode shared]`. It prints a line when it listens. When
 * its standard input ends, it takes no more programs, and it ends when those that it serves are gone.
 */
const { values } = parseArgs({
  options: { address: { type: 'string', default: '' }, mode: { type: 'string', default: 'own' } },
});
checkEnvironment();
const log = createLogger('ffi/process');
new Logs();

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
process.on('uncaughtException', (error) => log.error(`uncaught exception in the engine: ${error.stack}`));
process.on('unhandledRejection', (error) =>
  log.error(`unhandled rejection in the engine: ${describeError(error)}`),
);

/** The scheduler gives each process the same, and this one sees to the audio of twenty programs. */
const sharedPriority = -5;

try {
  if (values.mode === 'shared') setPriority(sharedPriority);
} catch {
  // It takes a privilege that most programs do not have.
}

const engine = new ListeningEngine({
  address: values.address,
  mode: values.mode === 'shared' ? 'shared' : 'own',
});
process.stdin.on('end', async () => {
  await engine.close();
  process.exit(0);
});
process.stdin.on('error', () => process.exit(0));
process.stdin.resume();
await engine.listen();
process.stdout.write('listening\n');
