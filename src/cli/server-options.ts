import { Option } from 'commander';
import { OffhookError } from '../errors/index.js';
import { asLogLevel, describeSubject, type LogLevel, logLevels, setLogSink } from '../logging/index.js';

/* What commands that serve have in common. */

/** `--log`, by the variable that programs on the engine have for it. */
export function logOption(): Option {
  return new Option('--log <level>', `one of ${logLevels.join(', ')}`)
    .env('OFFHOOK_LOG')
    .argParser(parseLogLevel)
    .default('info' satisfies LogLevel);
}

export function parsePort(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new OffhookError('OFFHOOK_INVALID_REQUEST', `"${text}" is not a port`, {
    advice: 'Give a number between 0 (any free port) and 65535.',
  });
}

function parseLogLevel(text: string): LogLevel {
  const level = asLogLevel(text);
  if (level) return level;
  throw new OffhookError('OFFHOOK_INVALID_REQUEST', `"${text}" is not a log level (--log or OFFHOOK_LOG)`, {
    advice: `Give one of ${logLevels.join(', ')}.`,
  });
}

/** Log records as lines of standard error. */
export function logToStderr(threshold: LogLevel): void {
  setLogSink(({ level, module, message, ...subject }) => {
    const about = [module, describeSubject(subject)].filter(Boolean).join(' ');
    process.stderr.write(`${new Date().toISOString()} ${level.padEnd(5)} ${about}: ${message}\n`);
  }, threshold);
}

/** Ends the process by `close` on the first signal, and at once on the second. */
export function closeOnSignal(close: () => Promise<void>): void {
  let closing = false;
  const end = () => {
    // A second signal does not wait for anybody.
    if (closing) process.exit(1);
    closing = true;
    void close().then(() => process.exit(0));
  };
  process.on('SIGINT', end);
  process.on('SIGTERM', end);
}
