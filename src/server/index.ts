export type { ApiKeys } from './access-token.js';
export { type RoomServer, type ServerOptions, startServer } from './room-server.js';
