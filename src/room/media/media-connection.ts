import { type Deadlines, OffhookError, type Timeline } from '../../timeline/index.js';
import {
  type CandidatePair,
  type IceCandidate,
  type IceServer,
  PeerConnection,
  type PeerConnectionState,
} from '../../transport/index.js';
import { CandidateFeed } from './candidate-feed.js';
import { LocalCandidates } from './local-candidates.js';
import { MediaStages } from './media-stages.js';

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

/** What both ways of a session are made of: a peer connection, its stages, and the candidates of both sides. */
export class MediaConnection {
  readonly pc: PeerConnection;
  readonly stages: MediaStages;
  /** ICE and DTLS are up; before `onStateChange`. */
  onConnected: () => void = () => {};
  #options: MediaConnectionOptions;
  #role: 'publisher' | 'subscriber';
  #candidates: CandidateFeed;
  #localCandidates: LocalCandidates;
  #closed = false;

  constructor(role: 'publisher' | 'subscriber', options: MediaConnectionOptions) {
    this.#role = role;
    this.#options = options;
    const { timeline, deadlines, iceServers, iceTransportPolicy, sendCandidate, onFailure } = options;
    this.pc = new PeerConnection({ name: role, iceServers, iceTransportPolicy, bridged: true });
    this.stages = new MediaStages({ timeline, deadlines, role, onOverrun: onFailure });
    // Where the server offers, it nominates.
    this.#localCandidates = new LocalCandidates(sendCandidate, { hold: role === 'publisher' });
    this.#candidates = new CandidateFeed(
      (candidate) => this.pc.addIceCandidate(candidate),
      () => this.#localCandidates.checking(),
    );
    this.pc.onLocalCandidate = (candidate) => this.#localCandidates.gathered(candidate);
    this.pc.onIceStateChange = (state) => {
      if (state === 'connected' || state === 'completed') this.stages.begin('dtls', this.pair);
    };
    this.pc.onSilent = options.onSilent;
    this.pc.onStateChange = (state) => this.#onStateChange(state);
  }

  get state(): PeerConnectionState {
    return this.pc.state;
  }

  get pair(): CandidatePair | undefined {
    return this.pc.selectedCandidatePair();
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Takes a candidate of the server's. */
  addCandidate(candidate: IceCandidate): void {
    this.#localCandidates.remote(candidate);
    this.#candidates.push(candidate);
  }

  /** Descriptions are exchanged: the server is checked, `afterMs` later than now. */
  agreed(afterMs = 0): void {
    this.#candidates.ready(afterMs);
    this.#localCandidates.agreed();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.stages.stop('abandoned');
    this.#candidates.close();
    this.#localCandidates.close();
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
