import type { DataChannel as AddonDataChannel } from 'node-datachannel';
import type { Traffic } from './traffic.js';

/** One SCTP data channel (RFC 8831). Binary only: LiveKit sends DataPacket messages. */
export class DataChannel {
  readonly label: string;
  #channel: AddonDataChannel;
  #traffic: Traffic;
  #open: boolean;
  #closed = false;
  onOpen: () => void = () => {};
  onClose: () => void = () => {};
  onMessage: (message: Uint8Array) => void = () => {};
  /** Called when the bytes waiting to be sent fall to the threshold. */
  onBufferedAmountLow: () => void = () => {};

  constructor(channel: AddonDataChannel, traffic: Traffic) {
    this.#channel = channel;
    this.#traffic = traffic;
    this.label = channel.getLabel();
    this.#open = channel.isOpen();
    channel.onOpen(() => {
      if (this.#closed) return;
      this.#open = true;
      this.onOpen();
    });
    channel.onClosed(() => {
      this.#open = false;
      this.onClose();
    });
    channel.onError(() => {});
    channel.onMessage((message) => {
      if (typeof message === 'string') return;
      const bytes = message instanceof ArrayBuffer ? new Uint8Array(message) : message;
      traffic.bytesReceived += bytes.length;
      this.onMessage(bytes);
    });
    channel.onBufferedAmountLow(() => this.onBufferedAmountLow());
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** Bytes handed to `send` that have not left yet. */
  get bufferedAmount(): number {
    return this.#open ? this.#channel.bufferedAmount() : 0;
  }

  setBufferedAmountLowThreshold(bytes: number): void {
    if (this.#open) this.#channel.setBufferedAmountLowThreshold(bytes);
  }

  /** Returns false when the channel is not open; a message is otherwise queued in full. */
  send(message: Uint8Array): boolean {
    if (!this.#open) return false;
    this.#traffic.bytesSent += message.length;
    this.#channel.sendMessageBinary(message);
    return true;
  }

  /** Says how many bytes of received messages are not dealt with yet. The addon cannot slow its peer down. */
  withhold(_bytes: number): void {}

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#open = false;
    this.#channel.close();
  }
}
