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

/** What runs beside the path: each filter plugin's load and create. */
export type FilterStage = 'filter-load' | 'filter-create';

/** Steps outside connecting that can fail on their own. */
export type OperationStage = 'publish' | 'subscribe' | 'request' | 'rpc' | 'reconnect' | 'server';

/** Steps of a telephone call: ringing, the room, the agent asked and its audio, the answer, and the call itself. */
export type CallStage = 'sip-invite' | 'sip-room' | 'sip-agent' | 'sip-audio' | 'sip-answer' | 'sip-call';

export type Stage = ConnectStage | FilterStage | OperationStage | CallStage;

/** Default deadlines in milliseconds; every one of them can be set by ConnectOptions. */
export const defaultDeadlinesMs = {
  connect: 15_000,
  candidateUrl: 5_000,
  nextUrlAfter: 300,
  nextAddressAfter: 250,
  url: 3_000,
  dns: 3_000,
  tcp: 3_000,
  tls: 3_000,
  websocket: 5_000,
  join: 5_000,
  ice: 8_000,
  dtls: 8_000,
  data: 5_000,
  filterLoad: 5_000,
  publish: 10_000,
} as const;

export type Deadlines = { -readonly [Name in keyof typeof defaultDeadlinesMs]: number };
