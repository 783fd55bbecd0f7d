import { writeSync } from 'node:fs';
import type { LogLevel, LogRecord } from '../logging/index.js';
import { setLogSink } from '../logging/index.js';
import { isShown, standardErrorLevel } from './log-level.js';
import type { Outbox } from './outbox.js';
import { LogLevel as FfiLogLevel } from './protocol.js';

const ffiLevels: Record<LogLevel, FfiLogLevel> = {
  error: FfiLogLevel.LOG_ERROR,
  warn: FfiLogLevel.LOG_WARN,
  info: FfiLogLevel.LOG_INFO,
  debug: FfiLogLevel.LOG_DEBUG,
  trace: FfiLogLevel.LOG_TRACE,
};

const standardError = 2;
const flushAfterMs = 100;

/** Where the engine's log records go: standard error at OFFHOOK_LOG, and to the program at every level if it wants them. */
export class Logs {
  /** Set while the program captures logs. */
  capturedBy: Outbox | undefined;
  #waiting: LogRecord[] = [];
  #threshold = standardErrorLevel();

  constructor() {
    setLogSink((record) => this.#take(record), isShown('trace', this.#threshold) ? 'trace' : 'debug');
  }

  #take(record: LogRecord): void {
    if (isShown(record.level, this.#threshold)) this.#write(record);
    if (!this.capturedBy) return;
    this.#waiting.push(record);
    if (this.#waiting.length === 1) setTimeout(() => this.#flush(), flushAfterMs);
  }

  #write({ level, module, message }: LogRecord): void {
    try {
      // Not through the stream: that goes by way of the program's thread, which may be busy.
      writeSync(standardError, `${new Date().toISOString()} ${level} offhook/${module}: ${message}\n`);
    } catch {
      // A closed standard error must not cost a call.
    }
  }

  #flush(): void {
    const records = this.#waiting.splice(0).map(({ level, module, message }) => ({
      level: ffiLevels[level],
      target: `offhook/${module}`,
      message,
    }));
    this.capturedBy?.emit({ case: 'logs', value: { records } });
  }
}
