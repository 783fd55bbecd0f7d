import type {
  DisconnectReason,
  JoinResponse,
  LeaveRequest,
  ReconnectResponse,
  SignalResponse,
} from '@livekit/protocol';
import type { PacketChannel, PacketKind } from '../../data/index.js';
import type { OffhookError } from '../../errors/index.js';
import type { OfferedTrack } from '../media/received-sections.js';
import type { Session } from './session.js';

/** What comes over a session. Each packet is one event. */
type SessionTraffic =
  /** A message of the server that is not about the peer connections. */
  | { type: 'message'; message: SignalResponse['message'] }
  /** The channels to send on are open. */
  | { type: 'channelsOpened'; channels: Record<PacketKind, PacketChannel> }
  /** The server opened its channel for reliable packets; `packet` events follow. */
  | { type: 'reliableChannelReceived' }
  | { type: 'packet'; bytes: Uint8Array; kind: PacketKind }
  /** The channel to send data tracks on is open. */
  | { type: 'dataTrackChannelOpened'; channel: PacketChannel }
  | { type: 'dataTrackPacket'; bytes: Uint8Array }
  /** The tracks that the server sends now, all of them. */
  | { type: 'tracks'; tracks: readonly OfferedTrack[] };

/** Events of a session: what comes over it, and what may end it. */
export type SessionEvent =
  | SessionTraffic
  | { type: 'leave'; leave: LeaveRequest }
  | { type: 'signalLost'; error: OffhookError }
  | { type: 'mediaLost'; error: OffhookError };

/**
 * Events of a connection, in the order in which they happen. Those of a session are those of the current one: an older one
 * is ignored.
 */
export type ConnectionEvent =
  | SessionTraffic
  /** The server let us in. Media comes up later. */
  | { type: 'joined'; join: JoinResponse }
  /** The session stands still (`resuming`) or is lost (`reconnecting`). */
  | { type: 'interrupted'; state: 'resuming' | 'reconnecting' }
  /** The session is over, with everything that it carried. */
  | { type: 'sessionLost' }
  /** The server resumed the session, and must learn what it may have missed. */
  | { type: 'sessionResumed'; session: Session; response: ReconnectResponse }
  /**
   * A new session took the place of the one that was lost. The connection is not restored before the work given to
   * `waitUntil` is done; when that rejects, the attempt has failed. `signal` aborts when the attempt is over.
   */
  | {
      type: 'sessionReplaced';
      session: Session;
      signal: AbortSignal;
      waitUntil: (work: Promise<void>) => void;
    }
  /** After `interrupted`: there is a session that works. */
  | { type: 'restored'; how: 'resumed' | 'reconnected' }
  /** The end, of a room that was joined. */
  | { type: 'disconnected'; reason: DisconnectReason; message: string };
