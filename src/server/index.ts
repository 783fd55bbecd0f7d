export { type AccessClaims, type ApiKeys, signAccess } from './access-token.js';
export { method, type TwirpService } from './api/twirp.js';
export { TwirpError } from './api/twirp-error.js';
export { newSid } from './ids.js';
export { type RoomServer, type ServerOptions, startServer } from './room-server.js';
