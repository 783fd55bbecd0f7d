import { writeSync } from 'node:fs';
import { describeSubject, isShown, type LogLevel, type LogRecord, setLogSink } from '../logging/index.js';
import { standardErrorLevel } from './environment.js';
import type { Outbox } from './outbox.js';
import { LogLevel as FfiLogLevel } from './protocol.js';

const ffiLevels: Record<LogLevel, FfiLogLevel> = {
  error: FfiLogLevel.LOG_ERROR,
  warn: FfiLogLevel.LOG_WARN,
  info: FfiLogLevel.LOG_INFO,
  debug: FfiLogLevel.LOG_DEBUG,
};

const standardError = 2;
const flushAfterMs = 100;

/** Takes records from `debug` up, some at a time. */
export type LogCapture = (records: LogRecord[]) => void;

/** Where a thread's log records go: standard error at OFFHOOK_LOG, and to the program at every level if it wants them. */
export class Logs {
  /** Set while the program captures logs. */
  capturedBy: LogCapture | undefined;
  #waiting: LogRecord[] = [];
  #threshold = standardErrorLevel();

  constructor() {
    setLogSink((record) => this.#take(record));
  }

  #take(record: LogRecord): void {
    if (isShown(record.level, this.#threshold)) this.#write(record);
    if (!this.capturedBy) return;
    this.#waiting.push(record);
    if (this.#waiting.length === 1) setTimeout(() => this.#flush(), flushAfterMs).unref();
  }

  #write({ level, module, message, ...subject }: LogRecord): void {
    const about = [`pid=${process.pid}`, describeSubject(subject)].filter(Boolean).join(' ');
    try {
      // Not through the stream: that goes by way of the program's thread, which may be busy.
      writeSync(
        standardError,
        `${new Date().toISOString()} ${level} offhook/${module} ${about}: ${message}\n`,
      );
    } catch {
      // A closed standard error must not cost a call.
    }
  }

  #flush(): void {
    this.capturedBy?.(this.#waiting.splice(0));
  }
}

/** Hands records to a program as the protocol has them: it has no field for the call, so the message begins with it. */
export function captureInto(outbox: Outbox): LogCapture {
  return (taken) => {
    const records = taken.map(({ level, module, message, ...subject }) => ({
      level: ffiLevels[level],
      target: `offhook/${module}`,
      message: [describeSubject(subject), message].filter(Boolean).join(': '),
    }));
    outbox.emit({ case: 'logs', value: { records } });
  };
}
