import {
  DataChannelInfo,
  type ICEServer,
  type JoinResponse,
  type LeaveRequest,
  SessionDescription,
  type SignalRequest,
  type SignalResponse,
  SignalTarget,
  TrickleRequest,
} from '@livekit/protocol';
import type { PacketChannel, PacketKind } from '../data/index.js';
import type { Deadlines } from '../deadlines/index.js';
import { OffhookError } from '../errors/index.js';
import { createLogger, type Logger } from '../logging/index.js';
import type { SignalClient } from '../signal/index.js';
import type { Timeline } from '../timeline/index.js';
import type { DataChannel, IceCandidate, IceServer, PeerConnectionState } from '../transport/index.js';
import { createDeferred, type Deferred } from './deferred.js';
import { Publisher } from './media/publisher.js';
import { type OfferedTrack, Subscriber } from './media/subscriber.js';

const log = createLogger('room/session');
/** After a resume the server restarts ICE of its own accord: before that, connected means nothing. */
const settleMs = 500;

interface SessionOptions {
  signal: SignalClient;
  join: JoinResponse;
  timeline: Timeline;
  deadlines: Deadlines;
  /** Used instead of the server's. */
  iceServers: readonly IceServer[] | undefined;
  iceTransportPolicy: 'all' | 'relay';
  events: SessionEvents;
}

export interface SessionEvents {
  /** A message that is not about the peer connections. */
  onMessage(message: SignalResponse['message']): void;
  onLeave(leave: LeaveRequest): void;
  onSignalLost(error: OffhookError): void;
  onMediaLost(error: OffhookError): void;
  /** The channels to send on are open. */
  onChannels(channels: Record<PacketKind, PacketChannel>): void;
  /** The server opened its channel for reliable packets; they come by `onPacket` from now on. */
  onReliableChannel(): void;
  onPacket(bytes: Uint8Array, kind: PacketKind): void;
  onTracks(tracks: readonly OfferedTrack[]): void;
}

/** One session with a server: its signal connection, which may be replaced, and its two peer connections. */
export class Session {
  readonly publisher: Publisher;
  readonly subscriber: Subscriber;
  readonly join: JoinResponse;
  #signal: SignalClient;
  #log: Logger;
  #events: SessionEvents;
  #mediaUp = createDeferred<void>();
  #channelsTold = false;
  #restart: { done: Deferred<void>; settled: boolean } | undefined;
  /** From the end of a signal connection until media is restarted. */
  #resuming = false;
  #started = false;
  #received = new Map<string, DataChannel>();
  #controller = new AbortController();

  constructor(options: SessionOptions) {
    const { join, timeline, deadlines, iceTransportPolicy, events } = options;
    this.join = join;
    this.#log = log.about(timeline.subject);
    this.#events = events;
    this.#signal = options.signal;
    const iceServers = options.iceServers ?? join.iceServers.map(toIceServer);
    const common = {
      timeline,
      deadlines,
      iceServers,
      iceTransportPolicy,
      onSilent: () => this.#onPathLost('the server no longer answers on the path of media'),
    };
    this.publisher = new Publisher({
      ...common,
      sendOffer: (sdp, id) =>
        this.send({ case: 'offer', value: new SessionDescription({ type: 'offer', sdp, id }) }),
      sendCandidate: (candidate) => this.#sendCandidate(candidate, SignalTarget.PUBLISHER),
      onStateChange: () => this.#checkMedia(),
      onFailure: (error) => this.#onMediaLost(error),
    });
    this.subscriber = new Subscriber({
      ...common,
      sendAnswer: (sdp, id) =>
        this.send({ case: 'answer', value: new SessionDescription({ type: 'answer', sdp, id }) }),
      sendCandidate: (candidate) => this.#sendCandidate(candidate, SignalTarget.SUBSCRIBER),
      onTracks: (tracks) => events.onTracks(tracks),
      onDataChannel: (channel) => this.#receive(channel),
      onStateChange: () => this.#checkMedia(),
      onFailure: (error) => this.#onMediaLost(error),
    });
    for (const channel of [this.publisher.lossy, this.publisher.reliable]) {
      channel.onOpen = () => this.#checkMedia();
      channel.onMessage = (message) => events.onPacket(message, kindOf(channel));
    }
  }

  /** Aborts when the session is closed. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get #closed(): boolean {
    return this.#controller.signal.aborted;
  }

  get url(): string {
    return this.#signal.url;
  }

  get signalRttMs(): number | undefined {
    return this.#signal.rttMs;
  }

  /** Resolves when everything that was agreed on is connected; rejects when the session is closed before. */
  get mediaUp(): Promise<void> {
    return this.#mediaUp.promise;
  }

  /** Begins: takes the server's messages, offers the data channels. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#listen(this.#signal);
    this.publisher.negotiate();
  }

  /** Ends the signal connection, for another one to take its place: the server would end it then, as if it broke. */
  closeSignal(): void {
    this.#resuming = true;
    this.#signal.close();
  }

  /** Goes on with another signal connection to the same session. */
  resume(signal: SignalClient): void {
    this.#signal = signal;
    this.#listen(signal);
  }

  /**
   * After a resume, and what the server had to be told first: restarts ICE. Resolves when both peer connections are
   * connected, on the paths that there are now.
   */
  restartMedia(): Promise<void> {
    const restart = { done: createDeferred<void>(), settled: false };
    this.#restart?.done.reject(new OffhookError('OFFHOOK_ABORTED', 'media is restarted again'));
    this.#restart = restart;
    const timer = setTimeout(() => {
      restart.settled = true;
      this.#checkMedia();
    }, settleMs);
    this.publisher.restart();
    return restart.done.promise
      .then(() => {
        this.#resuming = false;
      })
      .finally(() => clearTimeout(timer));
  }

  send(message: SignalRequest['message']): void {
    this.#signal.send(message);
  }

  /** What SyncState says of the channels that exist. */
  channelInfos(): DataChannelInfo[] {
    return [
      ...[this.publisher.lossy, this.publisher.reliable].map(
        ({ label }) => new DataChannelInfo({ label, target: SignalTarget.PUBLISHER }),
      ),
      ...[...this.#received.keys()].map(
        (label) => new DataChannelInfo({ label, target: SignalTarget.SUBSCRIBER }),
      ),
    ];
  }

  /** Whether both peer connections can still carry something. */
  get mediaIsAlive(): boolean {
    return [this.publisher.media.state, this.subscriber.media.state].every(isAlive);
  }

  /** Leaves nothing behind. */
  close(): void {
    if (this.#closed) return;
    const error = new OffhookError('OFFHOOK_CLOSED', 'the session is over');
    this.#controller.abort(error);
    this.#signal.close();
    this.publisher.close();
    this.subscriber.media.close();
    this.#mediaUp.reject(error);
    this.#restart?.done.reject(error);
  }

  #listen(signal: SignalClient): void {
    signal.onClose = (error) => {
      if (!this.#closed && signal === this.#signal) this.#events.onSignalLost(error);
    };
    // What came before is delivered here, in this turn.
    signal.onMessage = (message) => {
      if (!this.#closed && signal === this.#signal) this.#handle(message);
    };
  }

  #handle(message: SignalResponse['message']): void {
    switch (message.case) {
      case 'offer':
        this.subscriber.handleOffer(message.value.sdp, message.value.id);
        break;
      case 'answer':
        this.publisher.handleAnswer(message.value.sdp, message.value.id);
        break;
      case 'trickle':
        this.#handleCandidate(message.value);
        break;
      case 'leave':
        this.#events.onLeave(message.value);
        break;
      default:
        this.#events.onMessage(message);
    }
  }

  #handleCandidate({ candidateInit, target }: TrickleRequest): void {
    const candidate = parseCandidate(candidateInit);
    if (!candidate) {
      this.#log.warn(`a candidate of the server is no JSON: ${candidateInit.slice(0, 100)}`);
    } else if (target === SignalTarget.PUBLISHER) this.publisher.media.addCandidate(candidate);
    else this.subscriber.media.addCandidate(candidate);
  }

  #sendCandidate(candidate: IceCandidate, target: SignalTarget): void {
    this.send({
      case: 'trickle',
      value: new TrickleRequest({ candidateInit: JSON.stringify(candidate), target }),
    });
  }

  #receive(channel: DataChannel): void {
    this.#received.set(channel.label, channel);
    if (kindOf(channel) === 'reliable') this.#events.onReliableChannel();
    channel.onMessage = (message) => this.#events.onPacket(message, kindOf(channel));
  }

  #checkMedia(): void {
    const { lossy, reliable } = this.publisher;
    if (this.#closed || !lossy.isOpen || !reliable.isOpen) return;
    if (!this.#channelsTold) {
      this.#channelsTold = true;
      this.publisher.dataIsOpen();
      this.#events.onChannels({ reliable, lossy });
    }
    if (this.join.subscriberPrimary && this.subscriber.media.state !== 'connected') return;
    this.#mediaUp.resolve();
    if (this.publisher.media.state === 'connected' && this.#restart?.settled) this.#restart.done.resolve();
  }

  /** A resume finds another path; one that is under way does so already. */
  #onPathLost(says: string): void {
    if (this.#closed || this.#resuming) return;
    this.#events.onSignalLost(new OffhookError('OFFHOOK_TRANSPORT', says, { stage: 'ice' }));
  }

  #onMediaLost(error: OffhookError): void {
    if (!this.#closed) this.#events.onMediaLost(error);
  }
}

function isAlive(state: PeerConnectionState): boolean {
  return state !== 'failed' && state !== 'closed';
}

function kindOf({ label }: DataChannel): PacketKind {
  return label === '_lossy' ? 'lossy' : 'reliable';
}

function toIceServer({ urls, username, credential }: ICEServer): IceServer {
  return { urls, username, credential };
}

function parseCandidate(json: string): IceCandidate | undefined {
  try {
    const parsed: unknown = JSON.parse(json);
    const candidate = (parsed as Partial<IceCandidate> | null)?.candidate;
    return typeof candidate === 'string' ? (parsed as IceCandidate) : undefined;
  } catch {
    return undefined;
  }
}
