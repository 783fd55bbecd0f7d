import { DisconnectReason, type LeaveRequest, LeaveRequest_Action } from '@livekit/protocol';
import { describeError, OffhookError } from '../../errors/index.js';
import type { ConnectionInput } from './connection-table.js';

/** What a leave of the server comes to. Servers that know no actions only say whether we may come back. */
export function inputForLeave({ action, canReconnect }: LeaveRequest): ConnectionInput {
  if (action === LeaveRequest_Action.RESUME) return 'leaveResume';
  return canReconnect || action === LeaveRequest_Action.RECONNECT ? 'leaveReconnect' : 'leaveDisconnect';
}

/** What an attempt threw, as the error that is reported. */
export function failureOf(error: unknown): OffhookError {
  if (error instanceof OffhookError) return error;
  return new OffhookError('OFFHOOK_TRANSPORT', describeError(error), { cause: error });
}

export function leaveError({ reason }: LeaveRequest): OffhookError {
  const name = DisconnectReason[reason] ?? String(reason);
  return new OffhookError('OFFHOOK_SERVER_LEFT', `the server sent leave: ${name}`, { stage: 'server' });
}

/** What an attempt that failed comes to; `isLast` when there are no more. */
export function inputForFailure(
  { code }: OffhookError,
  attempted: 'resumeFailed' | 'rejoinFailed',
  isLast: boolean,
): ConnectionInput {
  if (code === 'OFFHOOK_UNAUTHORIZED' || code === 'OFFHOOK_INVALID_TOKEN') return 'refused';
  if (isLast) return 'exhausted';
  return attempted === 'resumeFailed' && code === 'OFFHOOK_NOT_SUPPORTED' ? 'sessionGone' : attempted;
}
