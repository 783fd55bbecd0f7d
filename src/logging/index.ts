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
  subjectOfIdentity,
} from './log.js';
export { makeFolder } from './make-folder.js';
