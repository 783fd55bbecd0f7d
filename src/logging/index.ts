export { createLogger, type Logger, type LogLevel, type LogRecord, setLogSink } from './log.js';
