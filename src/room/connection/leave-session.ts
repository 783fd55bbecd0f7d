import { ReconnectReason } from '@livekit/protocol';
import { resolveDeadlines } from '../../deadlines/index.js';
import { SignalClient } from '../../signal/index.js';
import { Timeline } from '../../timeline/index.js';

/** What another process needs to leave a room in place of one that is gone. */
export interface SessionToLeave {
  url: string;
  token: string;
  /** Empty while the room is being joined: whatever session this identity has is left. */
  participantSid: string;
  /** The session has one peer connection for both directions. */
  isSingle: boolean;
}

/**
 * Leaves a session of a process that is gone: the server would keep its participant for as long as it might come back.
 *
 * @throws OffhookError when the server does not know the session any more, or cannot be reached in time
 */
export async function leaveSession(session: SessionToLeave, timeoutMs: number): Promise<void> {
  const { url, token, participantSid, isSingle } = session;
  const signal = await SignalClient.open({
    urls: [url],
    token,
    timeline: new Timeline('leave'),
    deadlines: resolveDeadlines(),
    abort: AbortSignal.timeout(timeoutMs),
    autoSubscribe: false,
    adaptiveStream: false,
    resume: { participantSid, reason: ReconnectReason.RR_SIGNAL_DISCONNECTED },
    ...(isSingle && { singleConnection: { offer: undefined } }),
  });
  await signal.leave();
}
