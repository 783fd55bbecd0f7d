import { type SignalRequest, SignalTarget, TrickleRequest } from '@livekit/protocol';
import type { Deadlines } from '../../deadlines/index.js';
import { describeError, OffhookError } from '../../errors/index.js';
import { createLogger, type Logger } from '../../logging/index.js';
import type { Timeline } from '../../timeline/index.js';
import {
  type DataChannel,
  type IceCandidate,
  type IceServer,
  PeerConnection,
  type PeerConnectionState,
} from '../../transport/index.js';
import type { TransportStats } from '../stats.js';
import { MediaStages } from './media-stages.js';
import { type OfferedTrack, ReceivedSections } from './received-sections.js';

const logs = { publisher: createLogger('room/publisher'), subscriber: createLogger('room/subscriber') };

export interface MediaConnectionOptions {
  timeline: Timeline;
  deadlines: Deadlines;
  iceServers: readonly IceServer[];
  iceTransportPolicy: 'all' | 'relay';
  /** Sends to the server. */
  send: (message: SignalRequest['message']) => void;
  onStateChange: () => void;
  /** Nothing answers on its path any more. */
  onSilent: () => void;
  onFailure: (error: OffhookError) => void;
  /** The tracks that the server sends now over this connection, all of them. */
  onTracks: (tracks: readonly OfferedTrack[]) => void;
  /** The server opened a channel. */
  onDataChannel: (channel: DataChannel) => void;
}

/** An offer and its answer. */
interface Descriptions {
  offer: string | undefined;
  answer: string | undefined;
}

/**
 * A peer connection of a session: the one over which we offer, or the one over which the server does. What both have: the
 * stages of coming up, candidates, and sections on which the server sends.
 */
export abstract class MediaConnection {
  /** What was last agreed with the server. */
  protected agreed: Descriptions = { offer: undefined, answer: undefined };
  protected readonly pc: PeerConnection;
  protected readonly stages: MediaStages;
  protected readonly received: ReceivedSections;
  protected readonly options: MediaConnectionOptions;
  protected readonly log: Logger;
  #role: 'publisher' | 'subscriber';
  #closed = false;

  constructor(role: 'publisher' | 'subscriber', options: MediaConnectionOptions) {
    this.#role = role;
    this.options = options;
    const { timeline, deadlines, iceServers, iceTransportPolicy, send, onFailure } = options;
    const { subject } = timeline;
    this.log = logs[role].about(subject);
    // The server begins DTLS: as the one that is asked, pion sends a HelloVerifyRequest once and waits for ever when that
    // packet is lost.
    const protocols = iceTransportPolicy === 'relay' ? [] : (['udp', 'tcp'] as const);
    this.pc = new PeerConnection({ name: role, iceServers, protocols, dtlsRole: 'server', subject });
    this.stages = new MediaStages({ timeline, deadlines, role, onOverrun: onFailure });
    this.received = new ReceivedSections(this.pc, () => this.stats());
    const target = role === 'publisher' ? SignalTarget.PUBLISHER : SignalTarget.SUBSCRIBER;
    this.pc.onLocalCandidate = (candidate) => {
      const value = new TrickleRequest({ candidateInit: JSON.stringify(candidate), target });
      send({ case: 'trickle', value });
    };
    this.pc.onPath = () => this.stages.begin('dtls', this.pc.pair);
    this.pc.onSilent = options.onSilent;
    this.pc.onStateChange = (state) => this.#onStateChange(state);
    this.pc.onDataChannel = options.onDataChannel;
  }

  /** ICE and DTLS are up. */
  protected abstract onConnected(): void;

  get state(): PeerConnectionState {
    return this.pc.state;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** What was last agreed with the server, for resuming the session. */
  get descriptions(): Readonly<Descriptions> {
    return this.agreed;
  }

  stats(): TransportStats {
    const { state, pair, rttMs } = this.pc;
    return { name: this.#role, state, pair, rttMs, ...this.pc.stats(), availableOutgoingBps: undefined };
  }

  /** The servers are known later than the first offer was made. */
  setIceServers(iceServers: readonly IceServer[], relayOnly: boolean): void {
    this.pc.setIceServers(iceServers, relayOnly);
  }

  /** Takes a candidate of the server's, as JSON. */
  addCandidate(json: string): void {
    try {
      this.pc.addIceCandidate(parseCandidate(json));
    } catch (error) {
      this.log.warn(`a candidate of the server is not usable: ${describeError(error)}`);
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
      this.options.onFailure(
        new OffhookError('OFFHOOK_TRANSPORT', `the ${this.#role} connection failed`, { stage }),
      );
    }
    this.options.onStateChange();
  }
}

function parseCandidate(json: string): IceCandidate {
  const parsed = JSON.parse(json) as Partial<IceCandidate> | null;
  if (typeof parsed?.candidate === 'string') return parsed as IceCandidate;
  throw new OffhookError('OFFHOOK_PROTOCOL', `it names no candidate: ${json.slice(0, 100)}`);
}
