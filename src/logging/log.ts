import { withoutTokens } from '../errors/index.js';

/** The levels of the FFI protocol's LogRecord, most severe first. */
export type LogLevel = 'error' | 'warn' | 'info' | 'debug' | 'trace';

export interface LogRecord {
  level: LogLevel;
  /** The part of the engine that speaks, e.g. `signal` or `filters/native`. */
  module: string;
  message: string;
}

export interface Logger {
  error(message: string): void;
  warn(message: string): void;
  info(message: string): void;
  debug(message: string): void;
  trace(message: string): void;
}

type LogSink = (record: LogRecord) => void;

const severity: Record<LogLevel, number> = { error: 0, warn: 1, info: 2, debug: 3, trace: 4 };

let sink: LogSink = () => {};
let threshold = severity.debug;

/** Sends every log record of this thread to `newSink`; records less severe than `level` are dropped. */
export function setLogSink(newSink: LogSink, level: LogLevel = 'debug'): void {
  sink = newSink;
  threshold = severity[level];
}

/**
 * A logger for one module; its messages begin with the name of what speaks. Control characters are escaped: names and
 * errors that come from outside are part of messages, and must not write lines of their own.
 */
export function createLogger(module: string): Logger {
  const at = (level: LogLevel) => (message: string) => {
    if (severity[level] <= threshold)
      sink({ level, module, message: escapeControls(withoutTokens(message)) });
  };
  return {
    error: at('error'),
    warn: at('warn'),
    info: at('info'),
    debug: at('debug'),
    trace: at('trace'),
  };
}

function escapeControls(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, (character) => {
    const code = character.charCodeAt(0).toString(16).padStart(4, '0');
    return character === '\n' ? '\\n' : `\\u${code}`;
  });
}
