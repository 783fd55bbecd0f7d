import { OffhookError } from '../../errors/index.js';
import type { DataChannelParameters } from './dcep.js';

/** What a channel needs of the association below. */
export interface DataChannelLink {
  /** Sends a message on the channel's stream; false when it cannot. */
  send(channel: DataChannel, message: Uint8Array, isText: boolean): boolean;
  queuedBytes(channel: DataChannel): number;
  closeChannel(channel: DataChannel): void;
  /** The bytes that `channel` withholds have changed. */
  withhold(channel: DataChannel): void;
  /** The longest message that the peer takes. */
  readonly maxMessageBytes: number;
}

export interface DataChannelStats {
  messagesSent: number;
  bytesSent: number;
  messagesReceived: number;
  bytesReceived: number;
}

/** One data channel (RFC 8831). */
export class DataChannel {
  readonly label: string;
  readonly protocol: string;
  readonly ordered: boolean;
  readonly maxRetransmits: number | undefined;
  readonly maxLifetimeMs: number | undefined;
  readonly #link: DataChannelLink;
  #id: number | undefined;
  #state: 'connecting' | 'open' | 'closed' = 'connecting';
  #lowThresholdBytes = 0;
  #wasAboveThreshold = false;
  /** Bytes of received messages that are not dealt with yet; see `withhold`. */
  withheldBytes = 0;
  /** Messages of the program and their bytes, without those of the protocol. */
  readonly stats: DataChannelStats = { messagesSent: 0, bytesSent: 0, messagesReceived: 0, bytesReceived: 0 };
  onOpen: () => void = () => {};
  /** Called once, when either end has closed the channel. */
  onClose: () => void = () => {};
  /** Text comes as UTF-8. The bytes are the callee's. */
  onMessage: (message: Uint8Array, isText: boolean) => void = () => {};
  /** Called when the bytes waiting to be sent fall to the threshold. */
  onBufferedAmountLow: () => void = () => {};

  /** Made by `DataChannels`. */
  constructor(parameters: DataChannelParameters, link: DataChannelLink) {
    this.label = parameters.label;
    this.protocol = parameters.protocol;
    this.ordered = parameters.ordered;
    this.maxRetransmits = parameters.maxRetransmits;
    this.maxLifetimeMs = parameters.maxLifetimeMs;
    this.#link = link;
  }

  /** The SCTP stream, once the connection is up. */
  get id(): number | undefined {
    return this.#id;
  }

  get state(): 'connecting' | 'open' | 'closed' {
    return this.#state;
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  get isClosed(): boolean {
    return this.#state === 'closed';
  }

  /** Bytes handed to `send` that have not left yet. */
  get bufferedAmount(): number {
    return this.isOpen ? this.#link.queuedBytes(this) : 0;
  }

  setBufferedAmountLowThreshold(bytes: number): void {
    this.#lowThresholdBytes = bytes;
    this.#wasAboveThreshold = this.bufferedAmount > bytes;
  }

  /**
   * Queues a message in full, without a copy: its bytes must not change. Returns false when the channel is not open.
   * Throws `OFFHOOK_INVALID_REQUEST` when it is longer than the peer takes.
   */
  send(message: Uint8Array | string): boolean {
    if (!this.isOpen) return false;
    const isText = typeof message === 'string';
    const bytes = isText ? Buffer.from(message) : message;
    if (bytes.length > this.#link.maxMessageBytes)
      throw new OffhookError(
        'OFFHOOK_INVALID_REQUEST',
        `a message of ${bytes.length} bytes is longer than the ${this.#link.maxMessageBytes} that the peer takes`,
      );
    const isSent = this.#link.send(this, bytes, isText);
    if (isSent) {
      this.stats.messagesSent++;
      this.stats.bytesSent += bytes.length;
    }
    if (this.bufferedAmount > this.#lowThresholdBytes) this.#wasAboveThreshold = true;
    return isSent;
  }

  /**
   * Says how many bytes of the messages that came are not dealt with yet. The peer sends more slowly and then not at
   * all, on every channel of the connection, until they are fewer.
   */
  withhold(bytes: number): void {
    this.withheldBytes = bytes;
    this.#link.withhold(this);
  }

  /** Closes the channel after what was sent on it. Calls nothing afterwards. */
  close(): void {
    if (this.isClosed) return;
    this.#state = 'closed';
    this.#link.closeChannel(this);
  }

  /** For `DataChannels`: the stream of the channel is known. */
  assign(id: number): void {
    this.#id = id;
  }

  /** For `DataChannels`: messages can be sent. */
  opened(): void {
    if (this.#state !== 'connecting') return;
    this.#state = 'open';
    this.onOpen();
  }

  /** For `DataChannels`: a message came. */
  received(message: Uint8Array, isText: boolean): void {
    this.stats.messagesReceived++;
    this.stats.bytesReceived += message.length;
    this.onMessage(message, isText);
  }

  /** For `DataChannels`: the peer closed the channel, or the connection ended. */
  ended(): void {
    if (this.isClosed) return;
    this.#state = 'closed';
    this.onClose();
  }

  /** For `DataChannels`: the association sent something of what waited. */
  drained(queuedBytes: number): void {
    if (!this.#wasAboveThreshold || queuedBytes > this.#lowThresholdBytes || !this.isOpen) return;
    this.#wasAboveThreshold = false;
    this.onBufferedAmountLow();
  }
}
