export { type FfiAnswer, FfiServer, type FfiServerOptions } from './server.js';
