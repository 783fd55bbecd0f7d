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
export { makeFolder } from './make-folder.js';
