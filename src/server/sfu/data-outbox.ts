import { DataPacket_Kind } from '@livekit/protocol';
import type { DataChannel } from '../../transport/index.js';
import { limits } from '../limits.js';
import { dataChannelLabels, dataTrackLabel } from './data-channels.js';

/** What is to reach one client over its data channels. */
export class DataOutbox {
  #channels = new Map<string, DataChannel>();
  /** Reliable packets that wait for the channel to open. */
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #congested = false;
  #closed = false;
  /** Bytes handed to the reliable channel, ever. */
  #sentBytes = 0;
  /** How much had left when that was last seen to be more, and when that was. */
  #drained: { bytes: number; atMs: number } | undefined;

  add(channel: DataChannel): void {
    this.#channels.set(channel.label, channel);
    if (channel.label !== dataChannelLabels[DataPacket_Kind.RELIABLE]) return;
    if (channel.isOpen) this.#flush(channel);
    else channel.onOpen = () => this.#flush(channel);
  }

  /**
   * Sends a packet: a lossy one now or never, a reliable one when the channel is open. Before that only so much waits,
   * and the oldest goes first: a client that is not connected yet must not slow down those who send to everybody.
   */
  send(message: Uint8Array, kind: DataPacket_Kind): void {
    if (this.#closed) return;
    const channel = this.#channels.get(dataChannelLabels[kind]);
    if (kind === DataPacket_Kind.LOSSY) {
      if ((channel?.bufferedAmount ?? 0) < limits.unreadLossyBytes.value) channel?.send(message);
      return;
    }
    if (channel?.send(message)) {
      this.#sentBytes += message.length;
      return;
    }
    this.#waiting.push(message);
    this.#waitingBytes += message.length;
    while (this.#waitingBytes > limits.dataBeforeOpenBytes.value && this.#waiting.length > 1) {
      this.#waitingBytes -= this.#waiting.shift()!.length;
    }
  }

  /** Whether a frame of a data track may begin. */
  get takesTrackPackets(): boolean {
    const channel = this.#channels.get(dataTrackLabel);
    return channel !== undefined && channel.bufferedAmount < limits.unreadLossyBytes.value;
  }

  /** Sends a packet of a data track, now or never. */
  sendTrackPacket(packet: Uint8Array): void {
    if (!this.#closed) this.#channels.get(dataTrackLabel)?.send(packet);
  }

  /** Whether so much is on its way to the client that whoever sends has to wait. */
  get isCongested(): boolean {
    if (this.#closed) return false;
    const { congestedDataBytes } = limits;
    const bytes = this.#reliable?.bufferedAmount ?? 0;
    // Begins at the limit and ends well below, so that senders do not start and stop for each packet.
    this.#congested = bytes >= (this.#congested ? congestedDataBytes.value / 4 : congestedDataBytes.value);
    return this.#congested;
  }

  /**
   * Whether the client has stopped reading: senders have to wait for it, and less has left in a while than over any
   * connection that works. Call it now and then.
   */
  isStalled(nowMs: number): boolean {
    if (!this.isCongested) {
      this.#drained = undefined;
      return false;
    }
    const bytes = this.#sentBytes - (this.#reliable?.bufferedAmount ?? 0);
    this.#drained ??= { bytes, atMs: nowMs };
    if (bytes - this.#drained.bytes >= limits.stalledReceiverBytes.value)
      this.#drained = { bytes, atMs: nowMs };
    return nowMs - this.#drained.atMs >= limits.stalledReceiverMs.value;
  }

  close(): void {
    this.#closed = true;
    this.#waiting = [];
  }

  get #reliable(): DataChannel | undefined {
    return this.#channels.get(dataChannelLabels[DataPacket_Kind.RELIABLE]);
  }

  #flush(channel: DataChannel): void {
    this.#sentBytes += this.#waitingBytes;
    this.#waitingBytes = 0;
    for (const message of this.#waiting.splice(0)) channel.send(message);
  }
}
