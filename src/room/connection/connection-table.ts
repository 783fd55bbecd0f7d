/** Where a room's connection is. `resuming` keeps the session, `reconnecting` begins a new one. */
export type ConnectionState = 'disconnected' | 'connecting' | 'connected' | 'resuming' | 'reconnecting';

/** What happens to a connection. */
export const connectionInputs = {
  connect: 'the program asks to join',
  joined: 'the server answered with a JoinResponse',
  joinFailed: 'no server accepted the join, or its deadline passed',
  signalLost: 'the signal connection broke or fell silent',
  mediaLost: 'a peer connection failed, or did not come up in time',
  leaveResume: 'the server asks to resume (LeaveRequest, action RESUME)',
  leaveReconnect: 'the server asks for a new session (LeaveRequest, action RECONNECT)',
  leaveDisconnect: 'the server ends the session (LeaveRequest, action DISCONNECT)',
  resumed: 'the server resumed the session and its peer connections are alive',
  resumeFailed: 'the server was not reached',
  sessionGone: 'the server no longer knows the session, or its peer connections are dead',
  rejoined: 'a new session is up: joined, media connected, tracks published again',
  rejoinFailed: 'the new session did not come up',
  refused: 'the server refused the token',
  exhausted: 'all attempts were used up',
  disconnect: 'the program leaves',
} as const;

export type ConnectionInput = keyof typeof connectionInputs;

/** What the room does about it. */
export const connectionActions = {
  openSession: 'open a signal connection and join',
  reportJoined: 'return from connect',
  reportInterrupted: 'emit connectionStateChanged, reconnecting',
  resume: 'open a signal connection for the same session, send SyncState',
  retryResume: 'wait (exponential back-off with jitter), then resume',
  reconnect: 'close the session, join anew, publish the tracks again',
  retryReconnect: 'wait (exponential back-off with jitter), then reconnect',
  reportRestored: 'emit connectionStateChanged, reconnected',
  sendLeave: 'tell the server that we leave',
  closeSession: 'abandon what is under way, close sockets and peer connections',
  reportDisconnected: 'emit connectionStateChanged, disconnected, eos',
} as const;

export type ConnectionAction = keyof typeof connectionActions;

interface ConnectionTransition {
  from: ConnectionState;
  on: ConnectionInput;
  to: ConnectionState;
  actions: readonly ConnectionAction[];
}

/** Every transition of a room's connection. An input without a row changes nothing in that state. */
export const connectionTable: readonly ConnectionTransition[] = [
  { from: 'disconnected', on: 'connect', to: 'connecting', actions: ['openSession'] },

  { from: 'connecting', on: 'joined', to: 'connected', actions: ['reportJoined'] },
  { from: 'connecting', on: 'joinFailed', to: 'disconnected', actions: ['sendLeave', 'closeSession'] },
  { from: 'connecting', on: 'disconnect', to: 'disconnected', actions: ['sendLeave', 'closeSession'] },

  { from: 'connected', on: 'signalLost', to: 'resuming', actions: ['reportInterrupted', 'resume'] },
  { from: 'connected', on: 'leaveResume', to: 'resuming', actions: ['reportInterrupted', 'resume'] },
  { from: 'connected', on: 'mediaLost', to: 'reconnecting', actions: ['reportInterrupted', 'reconnect'] },
  {
    from: 'connected',
    on: 'leaveReconnect',
    to: 'reconnecting',
    actions: ['reportInterrupted', 'reconnect'],
  },
  {
    from: 'connected',
    on: 'leaveDisconnect',
    to: 'disconnected',
    actions: ['closeSession', 'reportDisconnected'],
  },
  {
    from: 'connected',
    on: 'disconnect',
    to: 'disconnected',
    actions: ['sendLeave', 'closeSession', 'reportDisconnected'],
  },

  { from: 'resuming', on: 'resumed', to: 'connected', actions: ['reportRestored'] },
  { from: 'resuming', on: 'resumeFailed', to: 'resuming', actions: ['retryResume'] },
  { from: 'resuming', on: 'signalLost', to: 'resuming', actions: ['retryResume'] },
  { from: 'resuming', on: 'leaveResume', to: 'resuming', actions: ['retryResume'] },
  { from: 'resuming', on: 'mediaLost', to: 'reconnecting', actions: ['reconnect'] },
  { from: 'resuming', on: 'sessionGone', to: 'reconnecting', actions: ['reconnect'] },
  { from: 'resuming', on: 'leaveReconnect', to: 'reconnecting', actions: ['reconnect'] },
  {
    from: 'resuming',
    on: 'leaveDisconnect',
    to: 'disconnected',
    actions: ['closeSession', 'reportDisconnected'],
  },
  { from: 'resuming', on: 'refused', to: 'disconnected', actions: ['closeSession', 'reportDisconnected'] },
  { from: 'resuming', on: 'exhausted', to: 'disconnected', actions: ['closeSession', 'reportDisconnected'] },
  {
    from: 'resuming',
    on: 'disconnect',
    to: 'disconnected',
    actions: ['sendLeave', 'closeSession', 'reportDisconnected'],
  },

  { from: 'reconnecting', on: 'rejoined', to: 'connected', actions: ['reportRestored'] },
  { from: 'reconnecting', on: 'rejoinFailed', to: 'reconnecting', actions: ['retryReconnect'] },
  { from: 'reconnecting', on: 'signalLost', to: 'reconnecting', actions: ['retryReconnect'] },
  { from: 'reconnecting', on: 'mediaLost', to: 'reconnecting', actions: ['retryReconnect'] },
  { from: 'reconnecting', on: 'leaveResume', to: 'reconnecting', actions: ['retryReconnect'] },
  { from: 'reconnecting', on: 'leaveReconnect', to: 'reconnecting', actions: ['retryReconnect'] },
  {
    from: 'reconnecting',
    on: 'leaveDisconnect',
    to: 'disconnected',
    actions: ['closeSession', 'reportDisconnected'],
  },
  {
    from: 'reconnecting',
    on: 'refused',
    to: 'disconnected',
    actions: ['closeSession', 'reportDisconnected'],
  },
  {
    from: 'reconnecting',
    on: 'exhausted',
    to: 'disconnected',
    actions: ['closeSession', 'reportDisconnected'],
  },
  {
    from: 'reconnecting',
    on: 'disconnect',
    to: 'disconnected',
    actions: ['sendLeave', 'closeSession', 'reportDisconnected'],
  },
];

/** The transition for an input, or undefined where it changes nothing. */
export function transitionFor(from: ConnectionState, on: ConnectionInput): ConnectionTransition | undefined {
  return connectionTable.find((row) => row.from === from && row.on === on);
}
