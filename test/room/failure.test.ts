import { LeaveRequest, LeaveRequest_Action } from '@livekit/protocol';
import { expect, test } from 'vitest';
import { OffhookError } from '../../src/errors/index.js';
import { inputForFailure, inputForLeave } from '../../src/room/connection/failure.js';

test('a leave comes to what its action says, and to its older flag where it has none', () => {
  const { DISCONNECT, RESUME, RECONNECT } = LeaveRequest_Action;
  expect(inputForLeave(new LeaveRequest({ action: RESUME }))).toBe('leaveResume');
  expect(inputForLeave(new LeaveRequest({ action: RECONNECT }))).toBe('leaveReconnect');
  expect(inputForLeave(new LeaveRequest({ action: DISCONNECT }))).toBe('leaveDisconnect');
  expect(inputForLeave(new LeaveRequest({ canReconnect: true }))).toBe('leaveReconnect');
});

test('an attempt that failed is followed by another one, unless it says that none will do', () => {
  const unreachable = new OffhookError('OFFHOOK_UNREACHABLE', 'nobody there');
  const unauthorized = new OffhookError('OFFHOOK_UNAUTHORIZED', 'token expired');
  const unknown = new OffhookError('OFFHOOK_NOT_SUPPORTED', 'no such session');
  expect(inputForFailure(unreachable, 'resumeFailed', false)).toBe('resumeFailed');
  expect(inputForFailure(unreachable, 'rejoinFailed', false)).toBe('rejoinFailed');
  expect(inputForFailure(unreachable, 'rejoinFailed', true)).toBe('exhausted');
  expect(inputForFailure(unauthorized, 'resumeFailed', false)).toBe('refused');
  expect(inputForFailure(unknown, 'resumeFailed', false)).toBe('sessionGone');
  expect(inputForFailure(unknown, 'rejoinFailed', false)).toBe('rejoinFailed');
});
