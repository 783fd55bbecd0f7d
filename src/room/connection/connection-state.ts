/** Where a room's connection is. `resuming` keeps the session, `reconnecting` begins a new one. */
export type ConnectionState = 'disconnected' | 'connecting' | 'connected' | 'resuming' | 'reconnecting';
