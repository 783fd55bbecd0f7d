export {
  asLogLevel,
  createLogger,
  describeSubject,
  isShown,
  type Logger,
  type LogLevel,
  type LogRecord,
  type LogSubject,
  logLevels,
  setLogSink,
} from './log.js';
