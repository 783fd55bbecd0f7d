export { checkEnvironment } from './environment.js';
export {
  Accepted,
  CaptureEncoded,
  encodeLater,
  Feedback,
  laterContent,
  TakeFeedback,
} from './later-messages.js';
export { Logs } from './logs.js';
export type { CallbackCase, EventOf, InitOf, RequestCase, RequestOf, ResponseOf } from './messages.js';
export { default as EngineThread } from './program/engine-thread.cjs';
export * as protocol from './protocol.js';
export { type FfiAnswer, FfiServer, type FfiServerOptions } from './server.js';
export type { ErrorRecord, LibraryConnect, LibraryNews, TracedStep } from './wire.js';
