import type { DisconnectReason, JoinResponse, ReconnectResponse } from '@livekit/protocol';
import type { Session, SessionEvents } from './session.js';

/** What a connection needs of its room, and tells it. */
export interface ConnectionHost extends Omit<SessionEvents, 'onLeave' | 'onSignalLost' | 'onMediaLost'> {
  onJoined(join: JoinResponse): void;
  /** The session stands still (`resuming`) or was lost (`reconnecting`). */
  onInterrupted(state: 'resuming' | 'reconnecting'): void;
  /** The session of before is over, with everything that it carried. */
  onSessionLost(): void;
  /** The session was taken up again; what the server must know is sent here. */
  onSessionResumed(session: Session, response: ReconnectResponse): void;
  /** A new session took the place of the one that was lost. What comes over it is told after this. */
  onRejoined(session: Session): void;
  /** Publishes over the new session what was published before. */
  republish(session: Session, signal: AbortSignal): Promise<void>;
  onRestored(how: 'resumed' | 'reconnected'): void;
  onDisconnected(reason: DisconnectReason, message: string): void;
}
