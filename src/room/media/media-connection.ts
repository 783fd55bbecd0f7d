import type { Deadlines } from '../../deadlines/index.js';
import { describeError, OffhookError } from '../../errors/index.js';
import { createLogger } from '../../logging/index.js';
import type { Timeline } from '../../timeline/index.js';
import {
  type CandidatePair,
  type IceCandidate,
  type IceServer,
  PeerConnection,
  type PeerConnectionState,
} from '../../transport/index.js';
import type { TransportStats } from '../stats.js';
import { MediaStages } from './media-stages.js';

const log = createLogger('room/ice');

export interface MediaConnectionOptions {
  timeline: Timeline;
  deadlines: Deadlines;
  iceServers: readonly IceServer[];
  iceTransportPolicy: 'all' | 'relay';
  sendCandidate: (candidate: IceCandidate) => void;
  onStateChange: (state: PeerConnectionState) => void;
  /** Nothing answers on its path any more. */
  onSilent: () => void;
  onFailure: (error: OffhookError) => void;
}

/** What both directions of a session are made of: a peer connection and its stages. */
export class MediaConnection {
  readonly pc: PeerConnection;
  readonly stages: MediaStages;
  /** ICE and DTLS are up; before `onStateChange`. */
  onConnected: () => void = () => {};
  #options: MediaConnectionOptions;
  #role: 'publisher' | 'subscriber';
  #closed = false;

  constructor(role: 'publisher' | 'subscriber', options: MediaConnectionOptions) {
    this.#role = role;
    this.#options = options;
    const { timeline, deadlines, iceServers, iceTransportPolicy, sendCandidate, onFailure } = options;
    // The server begins DTLS: as the one that is asked, pion sends a HelloVerifyRequest once and waits for ever when that
    // packet is lost.
    const protocols = iceTransportPolicy === 'relay' ? [] : (['udp', 'tcp'] as const);
    const { subject } = timeline;
    this.pc = new PeerConnection({ name: role, iceServers, protocols, dtlsRole: 'server', subject });
    this.stages = new MediaStages({ timeline, deadlines, role, onOverrun: onFailure });
    this.pc.onLocalCandidate = sendCandidate;
    this.pc.onPath = () => this.stages.begin('dtls', this.pair);
    this.pc.onSilent = options.onSilent;
    this.pc.onStateChange = (state) => this.#onStateChange(state);
  }

  get state(): PeerConnectionState {
    return this.pc.state;
  }

  get pair(): CandidatePair | undefined {
    return this.pc.pair;
  }

  stats(): TransportStats {
    const { state, pair, rttMs } = this.pc;
    return { name: this.#role, state, pair, rttMs, ...this.pc.stats(), availableOutgoingBps: undefined };
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Takes a candidate of the server's. */
  addCandidate(candidate: IceCandidate): void {
    try {
      this.pc.addIceCandidate(candidate);
    } catch (error) {
      log
        .about(this.#options.timeline.subject)
        .warn(`a candidate of the server is not usable: ${describeError(error)}`);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.stages.stop('abandoned');
    this.pc.close();
  }

  #onStateChange(state: PeerConnectionState): void {
    if (state === 'connected') this.onConnected();
    if (state === 'failed') {
      const stage = this.stages.stage ?? 'ice';
      this.stages.stop('failed');
      this.#options.onFailure(
        new OffhookError('OFFHOOK_TRANSPORT', `the ${this.#role} connection failed`, { stage }),
      );
    }
    this.#options.onStateChange(state);
  }
}
