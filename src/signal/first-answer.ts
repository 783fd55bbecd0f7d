import {
  DisconnectReason,
  type JoinResponse,
  type LeaveRequest,
  LeaveRequest_Action,
  ReconnectResponse,
  type SignalResponse,
} from '@livekit/protocol';
import { OffhookError } from '../errors/index.js';
import type { SignalSocket } from './signal-socket.js';

/** How the server lets a client in. */
export type FirstAnswer =
  | { case: 'join'; value: JoinResponse }
  | { case: 'reconnect'; value: ReconnectResponse };

const advices: Partial<Record<DisconnectReason, string>> = {
  [DisconnectReason.DUPLICATE_IDENTITY]: 'Another participant joined with the same identity.',
  [DisconnectReason.STATE_MISMATCH]: 'The server no longer has this session: connect again.',
  [DisconnectReason.ROOM_DELETED]: 'The room was deleted.',
  [DisconnectReason.SERVER_SHUTDOWN]: 'The server is shutting down: try again, or use another server.',
  [DisconnectReason.JOIN_FAILURE]: 'The server could not start the session: read its log.',
};

/** A leave in place of an answer, as an error that names its reason; its `cause` is the LeaveRequest itself. */
function refusedBy(leave: LeaveRequest, host: string): OffhookError {
  const reason = DisconnectReason[leave.reason] ?? String(leave.reason);
  const action = LeaveRequest_Action[leave.action] ?? String(leave.action);
  return new OffhookError(
    'OFFHOOK_SERVER_REFUSED',
    `the server refused the participant with a leave: reason ${reason}, action ${action}`,
    { stage: 'join', host, advice: advices[leave.reason], cause: leave },
  );
}

/**
 * Awaits the message with which the server lets a client in. Messages of another kind that come before it stay in
 * line for the later handler of messages. Servers that send no ReconnectResponse take a resumed session up with any
 * message.
 *
 * @throws OffhookError `OFFHOOK_SERVER_REFUSED` for a leave, or the reason why the connection ended
 */
export async function awaitFirstAnswer(
  socket: SignalSocket,
  options: { resuming: boolean; host: string; signal: AbortSignal },
): Promise<FirstAnswer> {
  const others: SignalResponse[] = [];
  for (;;) {
    const response = await socket.next(options.signal);
    const { message } = response;
    if (message.case === 'leave') throw refusedBy(message.value, options.host);
    const isAnswer = message.case === 'join' || message.case === 'reconnect';
    if (!isAnswer) others.push(response);
    if (isAnswer || (options.resuming && message.case !== undefined)) {
      socket.putBack(others);
      return isAnswer ? message : { case: 'reconnect', value: new ReconnectResponse() };
    }
  }
}
