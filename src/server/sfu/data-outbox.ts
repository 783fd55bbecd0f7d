import { DataPacket_Kind } from '@livekit/protocol';
import type { DataChannel } from '../../transport/index.js';
import { dataChannelLabels } from './data-channels.js';

const maxWaitingBytes = 4 * 1024 * 1024;
const maxReliableBufferedBytes = 16 * 1024 * 1024;
const maxLossyBufferedBytes = 256 * 1024;

/** What is to reach one client over its data channels. */
export class DataOutbox {
  /** The client does not take what is reliable fast enough. */
  onOverflow: () => void = () => {};
  #channels = new Map<string, DataChannel>();
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #overflown = false;

  add(channel: DataChannel): void {
    this.#channels.set(channel.label, channel);
    if (channel.label !== dataChannelLabels[DataPacket_Kind.RELIABLE]) return;
    if (channel.isOpen) this.#flush(channel);
    else channel.onOpen = () => this.#flush(channel);
  }

  /** Sends a packet: a lossy one now or never, a reliable one when the channel is open. */
  send(message: Uint8Array, kind: DataPacket_Kind): void {
    if (this.#overflown) return;
    const channel = this.#channels.get(dataChannelLabels[kind]);
    const bufferedBytes = channel?.bufferedAmount ?? 0;
    if (kind === DataPacket_Kind.LOSSY) {
      if (bufferedBytes < maxLossyBufferedBytes) channel?.send(message);
      return;
    }
    if (bufferedBytes < maxReliableBufferedBytes && channel?.send(message)) return;
    this.#waiting.push(message);
    this.#waitingBytes += message.length;
    if (this.#waitingBytes <= maxWaitingBytes && bufferedBytes < maxReliableBufferedBytes) return;
    this.#overflown = true;
    this.#waiting = [];
    this.onOverflow();
  }

  #flush(channel: DataChannel): void {
    this.#waitingBytes = 0;
    for (const message of this.#waiting.splice(0)) channel.send(message);
  }
}
