import type { LogRecord } from '../timeline/index.js';
import { checkFunction } from './check.js';
import { LibraryEngine } from './engine.js';

/**
 * Hands every log record of the engine to `sink`, whatever its level. What OFFHOOK_LOG asks for goes to standard error
 * too; `OFFHOOK_LOG=off` leaves the sink alone.
 *
 * @example
 * setLogSink(({ level, module, message }) => logger[level]({ module }, message));
 */
export function setLogSink(sink: (record: LogRecord) => void): void {
  checkFunction('the log sink', sink);
  LibraryEngine.shared.captureLogs(sink);
}
