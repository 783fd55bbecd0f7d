import {
  ClientConfigSetting,
  DataChannelInfo,
  type DisconnectReason,
  type ICEServer,
  type JoinResponse,
  type SessionDescription,
  type SignalRequest,
  type SignalResponse,
  SignalTarget,
  type TrickleRequest,
} from '@livekit/protocol';
import type { PacketKind } from '../../data/index.js';
import type { Deadlines } from '../../deadlines/index.js';
import { OffhookError } from '../../errors/index.js';
import { limits } from '../../limits.js';
import type { SignalClient } from '../../signal/index.js';
import type { Timeline } from '../../timeline/index.js';
import type { DataChannel, IceServer } from '../../transport/index.js';
import { createDeferred, type Deferred } from '../deferred.js';
import type { MediaConnection, MediaConnectionOptions } from '../media/media-connection.js';
import { dataTrackLabel, Publisher } from '../media/publisher.js';
import { Subscriber } from '../media/subscriber.js';
import type { SessionEvent } from './connection-events.js';

/** After a resume the server restarts ICE by itself: before that, `connected` means nothing. */
const settleMs = 500;

interface SessionOptions {
  timeline: Timeline;
  deadlines: Deadlines;
  /** Used instead of the server's. */
  iceServers: readonly IceServer[] | undefined;
  iceTransportPolicy: 'all' | 'relay';
  emit: (event: SessionEvent) => void;
}

/**
 * One session with a server: its signal connection, which may be replaced, and its peer connections, one for both
 * directions or one for each. It is prepared first, so that its offer can travel with the request to join, and begins
 * with the answer.
 */
export class Session {
  #options: SessionOptions;
  #publisher: Publisher | undefined;
  #subscriber: Subscriber | undefined;
  #join: JoinResponse | undefined;
  #signal: SignalClient | undefined;
  /** What is to be sent once there is a signal connection. */
  #early: SignalRequest['message'][] = [];
  #emit: (event: SessionEvent) => void;
  #mediaUp = createDeferred<void>();
  #channelsTold = false;
  #restart: { done: Deferred<void>; settled: boolean } | undefined;
  /** From the end of a signal connection until media is restarted. */
  #resuming = false;
  #started = false;
  #received = new Map<string, DataChannel>();
  #controller = new AbortController();

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#emit = options.emit;
  }

  /** The offer of a session with one peer connection, for the request to join. */
  firstOffer(): SessionDescription {
    const { iceServers = [] } = this.#options;
    this.#publisher = this.#newPublisher(iceServers, { receives: true });
    return this.#publisher.firstOffer();
  }

  /** The server has let us in. */
  begin(signal: SignalClient, join: JoinResponse): void {
    this.#join = join;
    this.#signal = signal;
    const iceServers = this.#options.iceServers ?? join.iceServers.map(toIceServer);
    // A server that has seen this participant reach it through TLS only, or is asked for that by a simulated scenario.
    const isForced = join.clientConfiguration?.forceRelay === ClientConfigSetting.ENABLED;
    if (isForced) this.#options = { ...this.#options, iceTransportPolicy: 'relay' };
    if (this.#publisher && signal.isSingle) {
      this.#publisher.setIceServers(iceServers, this.#options.iceTransportPolicy === 'relay');
      return;
    }
    this.#publisher?.close();
    this.#early = [];
    this.#publisher = this.#newPublisher(iceServers, { receives: false });
    this.#subscriber = new Subscriber(this.#mediaOptions(iceServers));
  }

  get join(): JoinResponse {
    return begun(this.#join);
  }

  /** One peer connection carries both directions. */
  get isSingle(): boolean {
    return this.#join !== undefined && this.#subscriber === undefined;
  }

  /** Over which we send, and receive as well where it is the only one. */
  get publisher(): Publisher {
    return begun(this.#publisher);
  }

  /** Over which we receive, where there are two. */
  get subscriber(): Subscriber | undefined {
    return this.#subscriber;
  }

  #newPublisher(iceServers: readonly IceServer[], { receives }: { receives: boolean }): Publisher {
    const emit = this.#emit;
    const publisher = new Publisher({ ...this.#mediaOptions(iceServers), receives });
    for (const channel of [publisher.lossy, publisher.reliable]) {
      channel.onOpen = () => this.#checkMedia();
      channel.onMessage = (bytes) => emit({ type: 'packet', bytes, kind: kindOf(channel) });
    }
    const { dataTracks } = publisher;
    dataTracks.onOpen = () => emit({ type: 'dataTrackChannelOpened', channel: dataTracks });
    dataTracks.onMessage = (bytes) => emit({ type: 'dataTrackPacket', bytes });
    return publisher;
  }

  #mediaOptions(iceServers: readonly IceServer[]): MediaConnectionOptions {
    const { timeline, deadlines, iceTransportPolicy } = this.#options;
    return {
      timeline,
      deadlines,
      iceServers,
      iceTransportPolicy,
      send: (message) => this.send(message),
      onSilent: () => this.#onPathLost(),
      onStateChange: () => this.#checkMedia(),
      onFailure: (error) => this.#onMediaLost(error),
      onTracks: (tracks) => this.#emit({ type: 'tracks', tracks }),
      onDataChannel: (channel) => this.#receive(channel),
    };
  }

  /** Aborts when the session is closed. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get #closed(): boolean {
    return this.#controller.signal.aborted;
  }

  get url(): string {
    return this.#signal?.url ?? '';
  }

  get signalRttMs(): number | undefined {
    return this.#signal?.rttMs;
  }

  /** Resolves when everything that was agreed on is connected; rejects when the session is closed before. */
  get mediaUp(): Promise<void> {
    return this.#mediaUp.promise;
  }

  /** Begins: takes the server's messages, offers the data channels. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#listen(begun(this.#signal));
    for (const message of this.#early.splice(0)) this.send(message);
    if (this.#subscriber) this.publisher.negotiate();
    else this.publisher.begin();
  }

  /** Ends the signal connection, which is to be replaced: the server would close it then, and that would look like a loss. */
  closeSignal(): void {
    this.#resuming = true;
    this.#signal?.close();
  }

  /** Goes on with another signal connection to the same session. */
  resume(signal: SignalClient): void {
    this.#signal = signal;
    this.#listen(signal);
  }

  /**
   * After a resume, and what the server had to be told first: restarts ICE. Resolves when all peer connections are
   * connected, on the paths that there are now.
   */
  restartMedia(): Promise<void> {
    const restart = { done: createDeferred<void>(), settled: false };
    this.#restart?.done.reject(new OffhookError('OFFHOOK_ABORTED', 'media was restarted once more'));
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
    if (this.#signal) this.#signal.send(message);
    else if (this.#early.length < limits.earlySignals.value) this.#early.push(message);
  }

  /** The channels that exist, for SyncState. */
  channelInfos(): DataChannelInfo[] {
    return [
      ...[this.publisher.lossy, this.publisher.reliable, this.publisher.dataTracks].map(
        ({ label }) => new DataChannelInfo({ label, target: SignalTarget.PUBLISHER }),
      ),
      ...[...this.#received.keys()].map(
        (label) => new DataChannelInfo({ label, target: SignalTarget.SUBSCRIBER }),
      ),
    ];
  }

  get #media(): MediaConnection[] {
    return [this.#publisher, this.#subscriber].filter((connection) => connection !== undefined);
  }

  /** What was last agreed on for the tracks that the server sends, for SyncState. */
  get descriptions(): { offer: string | undefined; answer: string | undefined } {
    return (this.#subscriber ?? this.publisher).descriptions;
  }

  /** Whether the peer connections can still carry something. */
  get mediaIsAlive(): boolean {
    return this.#media.every(({ state }) => state !== 'failed' && state !== 'closed');
  }

  /** Tells the server that we leave; what is sent afterwards is dropped. */
  leave(reason?: DisconnectReason): void {
    this.#signal?.leave(reason);
  }

  /** Leaves nothing behind. */
  close(): void {
    if (this.#closed) return;
    const error = new OffhookError('OFFHOOK_CLOSED', 'the session is over');
    this.#controller.abort(error);
    this.#signal?.close();
    this.#publisher?.close();
    this.#subscriber?.close();
    this.#mediaUp.reject(error);
    this.#restart?.done.reject(error);
  }

  #listen(signal: SignalClient): void {
    signal.onClose = (error) => {
      if (!this.#closed && signal === this.#signal) this.#emit({ type: 'signalLost', error });
    };
    // What came before is delivered here, in this turn.
    signal.onMessage = (message) => {
      if (!this.#closed && signal === this.#signal) this.#handle(message);
    };
  }

  #handle(message: SignalResponse['message']): void {
    switch (message.case) {
      case 'offer':
        this.#subscriber?.handleOffer(message.value.sdp, message.value.id);
        break;
      case 'answer':
        this.publisher.handleAnswer(message.value.sdp, message.value.id, message.value.midToTrackId);
        break;
      case 'mediaSectionsRequirement':
        if (!this.#subscriber) this.publisher.offerToReceive(message.value);
        break;
      case 'trickle':
        this.#handleCandidate(message.value);
        break;
      case 'leave':
        this.#emit({ type: 'leave', leave: message.value });
        break;
      default:
        this.#emit({ type: 'message', message });
    }
  }

  #handleCandidate({ candidateInit, target }: TrickleRequest): void {
    const connection = target === SignalTarget.SUBSCRIBER ? this.#subscriber : undefined;
    (connection ?? this.publisher).addCandidate(candidateInit);
  }

  #receive(channel: DataChannel): void {
    this.#received.set(channel.label, channel);
    if (channel.label === dataTrackLabel) {
      channel.onMessage = (bytes) => this.#emit({ type: 'dataTrackPacket', bytes });
      return;
    }
    const kind = kindOf(channel);
    if (kind === 'reliable') this.#emit({ type: 'reliableChannelReceived' });
    channel.onMessage = (bytes) => this.#emit({ type: 'packet', bytes, kind });
  }

  #checkMedia(): void {
    const { lossy, reliable } = this.publisher;
    if (this.#closed || !lossy.isOpen || !reliable.isOpen) return;
    if (!this.#channelsTold) {
      this.#channelsTold = true;
      this.publisher.dataIsOpen();
      this.#emit({ type: 'channelsOpened', channels: { reliable, lossy } });
    }
    if (this.join.subscriberPrimary && this.#subscriber && this.#subscriber.state !== 'connected') return;
    this.#mediaUp.resolve();
    if (this.publisher.state === 'connected' && this.#restart?.settled) this.#restart.done.resolve();
  }

  /** A resume finds another path; one that is under way does so already. */
  #onPathLost(): void {
    if (this.#closed || this.#resuming) return;
    const error = new OffhookError('OFFHOOK_TRANSPORT', 'the server no longer answers on the path of media', {
      stage: 'ice',
      advice:
        'The room looks for another path by itself. If this repeats, check the network to the server, and whether its processor is busy.',
    });
    this.#emit({ type: 'signalLost', error });
  }

  #onMediaLost(error: OffhookError): void {
    if (!this.#closed) this.#emit({ type: 'mediaLost', error });
  }
}

function begun<Part>(part: Part | undefined): Part {
  if (part === undefined) throw new OffhookError('OFFHOOK_CLOSED', 'the session has not begun');
  return part;
}

function kindOf({ label }: DataChannel): PacketKind {
  return label === '_lossy' ? 'lossy' : 'reliable';
}

function toIceServer({ urls, username, credential }: ICEServer): IceServer {
  return { urls, username, credential };
}
