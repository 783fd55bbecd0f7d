export { type AccessClaims, type ApiKeys, signAccess } from './access-token.js';
export { type RoomServer, type ServerOptions, startServer } from './room-server.js';
