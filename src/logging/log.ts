import { withoutTokens } from '../errors/index.js';

export type LogLevel = 'error' | 'warn' | 'info' | 'debug';

/** From the most severe; each level includes those before it. */
export const logLevels: readonly LogLevel[] = ['error', 'warn', 'info', 'debug'];

/** The call that a record is about, as far as it is known. */
export interface LogSubject {
  /** Name of the room. */
  room?: string | undefined;
  /** Of the local participant. */
  identity?: string | undefined;
  /** Id of the agent's job. */
  job?: string | undefined;
}

export interface LogRecord extends LogSubject {
  level: LogLevel;
  /** The part of the engine that reports, e.g. `signal` or `filters/native`. */
  module: string;
  message: string;
}

export interface Logger extends Record<LogLevel, (message: string) => void> {
  /** The same logger for one call. `subject` may be filled in later: it is read at each record. */
  about(subject: LogSubject): Logger;
}

type LogSink = (record: LogRecord) => void;

let sink: LogSink = () => {};
let threshold: LogLevel = 'debug';

/** Sends every log record of this thread to `newSink`; records less severe than `level` are dropped. */
export function setLogSink(newSink: LogSink, level: LogLevel = 'debug'): void {
  sink = newSink;
  threshold = level;
}

/**
 * A logger for one module. Control characters in its messages are escaped: they hold names and errors that come from
 * outside, which must not write lines of their own.
 */
export function createLogger(module: string): Logger {
  return loggerAbout(module, {});
}

function loggerAbout(module: string, subject: LogSubject): Logger {
  const at = (level: LogLevel) => (message: string) => {
    if (!isShown(level, threshold)) return;
    const { room, identity, job } = subject;
    sink({
      level,
      module,
      message: escapeControls(withoutTokens(message)),
      ...(room && { room }),
      ...(identity && { identity }),
      ...(job && { job }),
    });
  };
  return {
    error: at('error'),
    warn: at('warn'),
    info: at('info'),
    debug: at('debug'),
    about: (other) => loggerAbout(module, other),
  };
}

/** LiveKit's agent framework makes the identity of an agent that chose none from the id of its job. */
const agentIdentity = /^agent-(AJ_\w+)$/;

export function subjectOfIdentity(identity: string): LogSubject {
  return { identity, job: agentIdentity.exec(identity)?.[1] };
}

/** The name of a level that comes from outside; undefined when it is none. */
export function asLogLevel(text: string | undefined): LogLevel | undefined {
  return logLevels.find((level) => level === text);
}

/** Whether a record of `level` is shown when `threshold` is the least severe level shown. */
export function isShown(level: LogLevel, threshold: LogLevel): boolean {
  return logLevels.indexOf(level) <= logLevels.indexOf(threshold);
}

/** `room=kitchen identity=ada job=AJ_1`: what is known, in quotes where it is not one plain word. */
export function describeSubject({ room, identity, job }: LogSubject): string {
  return Object.entries({ room, identity, job })
    .filter((entry): entry is [string, string] => entry[1] !== undefined)
    .map(([name, value]) => `${name}=${/^[\w.@:+/-]+$/.test(value) ? value : quoted(value)}`)
    .join(' ');
}

function quoted(value: string): string {
  return escapeControls(JSON.stringify(withoutTokens(value)));
}

function escapeControls(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]/gu, (character) => {
    const code = character.charCodeAt(0).toString(16).padStart(4, '0');
    return character === '\n' ? '\\n' : `\\u${code}`;
  });
}
