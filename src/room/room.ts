import { DisconnectReason } from '@livekit/protocol';
import type { AudioReceiverStats, AudioSenderStats } from '../audio/index.js';
import { OffhookError, Timeline } from '../timeline/index.js';
import type { CandidatePair, PeerConnectionState } from '../transport/index.js';
import type { ConnectionState } from './connection/connection-state.js';
import type { RoomEvent } from './events.js';
import type { RoomInfo } from './info.js';
import type { LocalParticipant } from './local-participant.js';
import type { ConnectOptions, RoomOptions } from './options.js';
import type { RemoteParticipant } from './remote-participant.js';

export interface TransportStats {
  state: PeerConnectionState;
  pair: CandidatePair | undefined;
  rttMs: number | undefined;
  bytesSent: number;
  bytesReceived: number;
}

export interface RoomStats {
  publisher: TransportStats | undefined;
  subscriber: TransportStats | undefined;
  /** By sid. */
  sent: ReadonlyMap<string, AudioSenderStats>;
  /** By sid. */
  received: ReadonlyMap<string, AudioReceiverStats>;
  signalRttMs: number | undefined;
}

/** What `Room.simulate` can bring about, as LiveKit's SimulateScenario names it. */
export type SimulatedScenario =
  | 'signalReconnect'
  | 'fullReconnect'
  | 'speaker'
  | 'nodeFailure'
  | 'serverLeave'
  | 'migration'
  | 'disconnectSignalOnResume';

/** One participant's connection to a LiveKit room. */
export class Room {
  /** Every step of connecting and reconnecting, with its times, addresses and outcome. */
  readonly timeline: Timeline;
  /** Takes every event, in order. What it throws is logged and does not stop the room. */
  onEvent: (event: RoomEvent) => void = () => {};

  constructor(options: RoomOptions = {}) {
    this.timeline = new Timeline(options.name ?? 'room');
  }

  get connectionState(): ConnectionState {
    return 'disconnected';
  }

  /** @throws OffhookError `OFFHOOK_CLOSED` before the room was joined. */
  get info(): RoomInfo {
    throw new OffhookError('OFFHOOK_NOT_SUPPORTED', 'Room.info is not there yet');
  }

  /** @throws OffhookError `OFFHOOK_CLOSED` before the room was joined. */
  get localParticipant(): LocalParticipant {
    throw new OffhookError('OFFHOOK_NOT_SUPPORTED', 'Room.localParticipant is not there yet');
  }

  /** By identity. */
  get remoteParticipants(): ReadonlyMap<string, RemoteParticipant> {
    throw new OffhookError('OFFHOOK_NOT_SUPPORTED', 'Room.remoteParticipants is not there yet');
  }

  /**
   * Joins the room. Participants that are there already are in `remoteParticipants`, without events; tracks are
   * subscribed to, and events begin, afterwards.
   *
   * @param url ws(s):// or http(s)://; several are tried in order of preference
   * @throws OffhookError that names the stage, the host and the elapsed time
   */
  async connect(
    _url: string | readonly string[],
    _token: string,
    _options: ConnectOptions = {},
  ): Promise<void> {
    throw new OffhookError('OFFHOOK_NOT_SUPPORTED', 'Room.connect is not there yet');
  }

  /** Leaves the room, at any moment of connecting or reconnecting too; nothing of it is left behind. */
  async disconnect(_reason: DisconnectReason = DisconnectReason.CLIENT_INITIATED): Promise<void> {
    throw new OffhookError('OFFHOOK_NOT_SUPPORTED', 'Room.disconnect is not there yet');
  }

  /** Brings about a failure, to see how a program gets over it. */
  simulate(_scenario: SimulatedScenario): void {
    throw new OffhookError('OFFHOOK_NOT_SUPPORTED', 'Room.simulate is not there yet');
  }

  stats(): RoomStats {
    throw new OffhookError('OFFHOOK_NOT_SUPPORTED', 'Room.stats is not there yet');
  }
}
