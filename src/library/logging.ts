import { checkFunction } from '../errors/index.js';
import type { LogRecord } from '../logging/index.js';
import { LibraryEngine } from './engine.js';

/**
 * Hands the engine's log records from `debug` up to `sink`. What OFFHOOK_LOG asks for, `warn` and `error` unless it is
 * set, goes to standard error too.
 *
 * @example
 * setLogSink(({ level, message, ...about }) => logger[level](about, message));
 */
export function setLogSink(sink: (record: LogRecord) => void): void {
  checkFunction('the log sink', sink);
  LibraryEngine.shared.captureLogs(sink);
}
