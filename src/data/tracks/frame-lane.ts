import { limits } from '../../limits.js';
import type { PacketChannel } from '../packet-lane.js';

/** What may wait in the channel: what comes next should be the newest there is. */
const bufferedBytes = 8 * 1024;

interface WaitingFrame {
  packets: readonly Uint8Array[];
  bytes: number;
}

/**
 * Frames of all published data tracks on their way out. While the path does not take more, the oldest that wait are
 * dropped, whole: old data is worth less than new.
 */
export class FrameLane {
  #channel: PacketChannel | undefined;
  /** What is left of the frame that is being sent. */
  #sending: Uint8Array[] = [];
  #waiting: WaitingFrame[] = [];
  #waitingBytes = 0;

  /** Once for each frame. Before there is a channel, the newest wait. */
  send(packets: readonly Uint8Array[]): void {
    const bytes = packets.reduce((sum, { length }) => sum + length, 0);
    this.#waiting.push({ packets, bytes });
    this.#waitingBytes += bytes;
    this.#flush();
    while (this.#waitingBytes > limits.waitingDataTrackFrames.value && this.#waiting.length > 1)
      this.#waitingBytes -= this.#waiting.shift()!.bytes;
  }

  /** Sends on this channel, which is open, from now on. */
  open(channel: PacketChannel): void {
    this.#channel = channel;
    channel.setBufferedAmountLowThreshold(bufferedBytes);
    channel.onBufferedAmountLow = () => this.#flush();
    this.#flush();
  }

  /** There is no channel until the next `open`; what waits is of a session that is gone. */
  suspend(): void {
    if (this.#channel) this.#channel.onBufferedAmountLow = () => {};
    this.#channel = undefined;
    this.#sending = [];
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  #flush(): void {
    const channel = this.#channel;
    if (!channel?.isOpen) return;
    while (channel.bufferedAmount <= bufferedBytes) {
      const packet = this.#sending.shift() ?? this.#nextFrame();
      if (!packet) return;
      channel.send(packet);
    }
  }

  #nextFrame(): Uint8Array | undefined {
    const frame = this.#waiting.shift();
    if (!frame) return undefined;
    this.#waitingBytes -= frame.bytes;
    this.#sending = frame.packets.slice(1);
    return frame.packets[0];
  }
}
