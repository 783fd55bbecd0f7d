/** The steps between a call of `connect` and its return, in the order in which they happen. */
export const connectStages = [
  'url',
  'dns',
  'tcp',
  'tls',
  'websocket',
  'join',
  'ice',
  'dtls',
  'data',
  'callback',
] as const;

export type ConnectStage = (typeof connectStages)[number];

/** Steps that run in parallel to connecting: loading a filter plugin, and creating its streams. */
export type FilterStage = 'filter-load' | 'filter-create';

/** Steps outside connecting that can fail on their own. */
export type OperationStage = 'publish' | 'subscribe' | 'request' | 'rpc' | 'reconnect' | 'server';

/** Steps of a telephone call: ringing, the room, the agent asked and its audio, the answer, and the call itself. */
export type CallStage =
  | 'sip-invite'
  | 'sip-turn'
  | 'sip-room'
  | 'sip-agent'
  | 'sip-audio'
  | 'sip-answer'
  | 'sip-call';

export type Stage = ConnectStage | FilterStage | OperationStage | CallStage;
