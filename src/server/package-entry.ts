/* What `offhook/server` exports: each name by itself, with every type that a signature uses. */
export type { ApiKeys } from './access-token.js';
export type { TwirpMethod, TwirpService } from './api/twirp.js';
export { TwirpError, type TwirpErrorCode } from './api/twirp-error.js';
export { type RoomServer, type ServerOptions, startServer } from './room-server.js';
