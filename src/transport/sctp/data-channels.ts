import { OffhookError } from '../../errors/index.js';
import { maxStreams, SctpAssociation, type SctpAssociationOptions } from './association.js';
import { DataChannel, type DataChannelLink } from './data-channel.js';
import { type DataChannelParameters, dcepAck, decodeDcep, encodeOpen, payloadProtocol } from './dcep.js';

/** Without `a=max-message-size` in the peer's description (RFC 8841 section 6.1). */
const defaultRemoteMaxMessageBytes = 65_536;
const emptyMessage = Buffer.of(0);

export interface DataChannelsOptions
  extends Pick<
    SctpAssociationOptions,
    | 'localPort'
    | 'remotePort'
    | 'maxMessageBytes'
    | 'maxPacketBytes'
    | 'windowBytes'
    | 'onPacket'
    | 'onClosed'
  > {
  /** The clock of the `nowMs` that the other methods take, for messages that a program sends. */
  now(): number;
  /** A channel that the peer opened. Set its listeners during the call. */
  onChannel(channel: DataChannel): void;
  /** `nextTimeoutMs` may have changed, outside of a call to `handlePacket` or `handleTimeout`. */
  onTimerChange?(): void;
}

/** A stream in use, and how far its channel is. */
interface Entry {
  channel: DataChannel;
  /** The peer has not answered our OPEN: until then all messages are ordered (RFC 8832 section 6). */
  isUnacknowledged: boolean;
  /** Which directions of the stream were reset. */
  isLocalEnded: boolean;
  isRemoteEnded: boolean;
}

/** The data channels of a connection (RFC 8831, RFC 8832) and the SCTP association that carries them. */
export class DataChannels implements DataChannelLink {
  readonly association: SctpAssociation;
  readonly #options: DataChannelsOptions;
  readonly #entries = new Map<number, Entry>();
  /** Channels that were created before the DTLS role, and with it their stream, was known. */
  #waiting: DataChannel[] = [];
  #idParity: 0 | 1 | undefined;
  #isEnded = false;
  /** The longest message that the peer takes, from its description; 0 stands for any length. */
  remoteMaxMessageBytes = defaultRemoteMaxMessageBytes;
  /** Messages of the peer for channels that do not exist or that are not of the protocol. */
  invalidMessageCount = 0;
  /** Channels that were open at some time, and those of them that were closed. */
  openedCount = 0;
  closedCount = 0;

  constructor(options: DataChannelsOptions) {
    this.#options = options;
    this.association = new SctpAssociation({
      localPort: options.localPort,
      remotePort: options.remotePort,
      maxMessageBytes: options.maxMessageBytes,
      ...(options.maxPacketBytes === undefined ? {} : { maxPacketBytes: options.maxPacketBytes }),
      ...(options.windowBytes === undefined ? {} : { windowBytes: options.windowBytes }),
      onPacket: options.onPacket,
      onConnected: () => this.#openWaiting(),
      onMessage: (streamId, ppid, bytes) => this.#handleMessage(streamId, ppid, bytes),
      onStreamReset: (streamId) => this.#handleRemoteEnd(streamId),
      onStreamClosed: (streamId) => this.#handleLocalEnd(streamId),
      onDrained: (streamId, queuedBytes) => this.#entries.get(streamId)?.channel.drained(queuedBytes),
      onClosed: (error) => {
        this.#endAll();
        options.onClosed?.(error);
      },
    });
  }

  get maxMessageBytes(): number {
    return this.remoteMaxMessageBytes || Number.POSITIVE_INFINITY;
  }

  /** Those that are not closed. */
  get all(): DataChannel[] {
    return [...this.#waiting, ...[...this.#entries.values()].map(({ channel }) => channel)];
  }

  get nextTimeoutMs(): number | undefined {
    return this.association.nextTimeoutMs;
  }

  /** DTLS is up, in this role: it decides who uses even and who uses odd streams (RFC 8832 section 6). */
  start(role: 'client' | 'server', nowMs: number): void {
    if (this.#isEnded || this.#idParity !== undefined) return;
    this.#idParity = role === 'client' ? 0 : 1;
    this.association.start(nowMs);
  }

  /** Packets before `start` are dropped: the peer sends its INIT again. */
  handlePacket(packet: Buffer, nowMs: number): void {
    if (this.#idParity !== undefined) this.association.handlePacket(packet, nowMs);
  }

  handleTimeout(nowMs: number): void {
    this.association.handleTimeout(nowMs);
  }

  /**
   * A new channel, which the peer hears of as soon as the association is up; it is closed then when all streams are in
   * use. Throws `OFFHOOK_CLOSED` after the end.
   */
  create(label: string, parameters: Partial<Omit<DataChannelParameters, 'label'>> = {}): DataChannel {
    if (this.#isEnded)
      throw new OffhookError('OFFHOOK_CLOSED', 'the data channels of this connection are closed');
    const channel = new DataChannel(
      {
        label,
        protocol: parameters.protocol ?? '',
        ordered: parameters.ordered ?? true,
        maxRetransmits: parameters.maxRetransmits,
        maxLifetimeMs: parameters.maxLifetimeMs,
      },
      this,
    );
    this.#waiting.push(channel);
    if (this.association.state === 'established') this.#openWaiting();
    return channel;
  }

  withhold(): void {
    let bytes = 0;
    for (const { channel } of this.#entries.values()) bytes += channel.withheldBytes;
    this.association.withhold(bytes, this.#options.now());
    this.#options.onTimerChange?.();
  }

  /** Ends the association and tells the peer. Channels are closed; none of them calls back. */
  close(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.association.close();
    const channels = this.all;
    this.#waiting = [];
    this.#entries.clear();
    for (const channel of channels) channel.close();
  }

  // For the channels.

  send(channel: DataChannel, message: Uint8Array, isText: boolean): boolean {
    const entry = this.#entryOf(channel);
    if (entry === undefined || this.association.state !== 'established') return false;
    const isEmpty = message.length === 0;
    const ppid = isText
      ? isEmpty
        ? payloadProtocol.emptyText
        : payloadProtocol.text
      : isEmpty
        ? payloadProtocol.emptyBinary
        : payloadProtocol.binary;
    const { ordered, maxRetransmits, maxLifetimeMs } = channel;
    this.association.send(
      channel.id!,
      ppid,
      isEmpty ? emptyMessage : message,
      { ordered: ordered || entry.isUnacknowledged, maxRetransmits, maxLifetimeMs },
      this.#options.now(),
    );
    this.#options.onTimerChange?.();
    return true;
  }

  queuedBytes(channel: DataChannel): number {
    return channel.id === undefined ? 0 : this.association.queuedBytesOf(channel.id);
  }

  closeChannel(channel: DataChannel): void {
    this.#waiting = this.#waiting.filter((waiting) => waiting !== channel);
    const entry = this.#entryOf(channel);
    if (entry === undefined || this.#isEnded || entry.isLocalEnded) return;
    this.closedCount++;
    this.association.resetStream(channel.id!, this.#options.now());
    this.#options.onTimerChange?.();
  }

  #entryOf(channel: DataChannel): Entry | undefined {
    const entry = channel.id === undefined ? undefined : this.#entries.get(channel.id);
    return entry?.channel === channel ? entry : undefined;
  }

  /** Tells the peer of new channels. Messages may follow at once, on the same ordered stream. */
  #openWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const channel of waiting) {
      const id = this.#freeId();
      if (id === undefined) {
        channel.ended();
        continue;
      }
      channel.assign(id);
      this.#entries.set(id, { channel, isUnacknowledged: true, isLocalEnded: false, isRemoteEnded: false });
      this.association.send(
        id,
        payloadProtocol.control,
        encodeOpen(channel),
        { ordered: true },
        this.#options.now(),
      );
      this.#options.onTimerChange?.();
      this.openedCount++;
      channel.opened();
    }
  }

  #freeId(): number | undefined {
    for (let id: number = this.#idParity!; id < maxStreams; id += 2) if (!this.#entries.has(id)) return id;
    return undefined;
  }

  #handleMessage(streamId: number, ppid: number, bytes: Buffer): void {
    if (ppid === payloadProtocol.control) {
      this.#handleControl(streamId, bytes);
      return;
    }
    const entry = this.#entries.get(streamId);
    if (entry === undefined || entry.isRemoteEnded) {
      this.invalidMessageCount++;
      return;
    }
    // The peer does not send before it has our OPEN; its answer to that may be late where messages are not ordered.
    entry.isUnacknowledged = false;
    const { channel } = entry;
    if (channel.isClosed) return;
    if (ppid === payloadProtocol.binary || ppid === payloadProtocol.text)
      channel.received(bytes, ppid === payloadProtocol.text);
    else if (ppid === payloadProtocol.emptyBinary || ppid === payloadProtocol.emptyText)
      channel.received(bytes.subarray(0, 0), ppid === payloadProtocol.emptyText);
    else this.invalidMessageCount++;
  }

  #handleControl(streamId: number, bytes: Buffer): void {
    const message = decodeDcep(bytes);
    const entry = this.#entries.get(streamId);
    if (message?.type === 'ack') {
      if (entry === undefined) this.invalidMessageCount++;
      else entry.isUnacknowledged = false;
      return;
    }
    if (message === undefined || entry !== undefined || (streamId & 1) === this.#idParity) {
      // RFC 8832 section 6: a channel that cannot be is closed.
      this.invalidMessageCount++;
      if (entry === undefined) this.association.resetStream(streamId, this.#options.now());
      return;
    }
    const channel = new DataChannel(message.parameters, this);
    channel.assign(streamId);
    this.#entries.set(streamId, {
      channel,
      isUnacknowledged: false,
      isLocalEnded: false,
      isRemoteEnded: false,
    });
    this.association.send(streamId, payloadProtocol.control, dcepAck, { ordered: true }, this.#options.now());
    this.#options.onChannel(channel);
    this.openedCount++;
    channel.opened();
  }

  #handleRemoteEnd(streamId: number): void {
    const entry = this.#entries.get(streamId);
    if (entry === undefined) return;
    entry.isRemoteEnded = true;
    // RFC 8831 section 6.7: the other end answers by resetting its own direction.
    if (!entry.isLocalEnded) this.association.resetStream(streamId, this.#options.now());
    else this.#entries.delete(streamId);
    if (entry.channel.isOpen) this.closedCount++;
    entry.channel.ended();
  }

  #handleLocalEnd(streamId: number): void {
    const entry = this.#entries.get(streamId);
    if (entry === undefined) return;
    entry.isLocalEnded = true;
    if (entry.isRemoteEnded) this.#entries.delete(streamId);
  }

  #endAll(): void {
    this.#isEnded = true;
    const channels = this.all;
    this.#waiting = [];
    this.#entries.clear();
    for (const channel of channels) channel.ended();
  }
}
