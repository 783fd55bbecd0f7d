import { DataPacket, DataPacket_Kind } from '@livekit/protocol';
import { OffhookError } from '../errors/index.js';
import type { PacketContent, PacketKind, PacketRouting } from './packet.js';
import { ReliableOutbox } from './reliable-outbox.js';

/** The data channel that a lane sends on. */
export interface PacketChannel {
  readonly isOpen: boolean;
  readonly bufferedAmount: number;
  send(message: Uint8Array): boolean;
  setBufferedAmountLowThreshold(bytes: number): void;
  onBufferedAmountLow: () => void;
}

interface WaitingPacket {
  content: PacketContent;
  routing: PacketRouting;
  resolve(): void;
  reject(error: OffhookError): void;
}

const defaultThresholdBytes = 2 * 1024 * 1024;

/**
 * Packets of one kind on their way out, in order. They wait while there is no channel and while much is buffered in
 * it, and so slow the sender down.
 */
export class PacketLane {
  #kind: PacketKind;
  #channel: PacketChannel | undefined;
  #waiting: WaitingPacket[] = [];
  #outbox = new ReliableOutbox();
  #thresholdBytes = defaultThresholdBytes;
  #closed: OffhookError | undefined;

  constructor(kind: PacketKind) {
    this.#kind = kind;
  }

  get thresholdBytes(): number {
    return this.#thresholdBytes;
  }

  set thresholdBytes(bytes: number) {
    this.#thresholdBytes = bytes;
    this.#channel?.setBufferedAmountLowThreshold(bytes);
    this.#flush();
  }

  /** Resolves when the packet was handed to the channel. */
  send(content: PacketContent, routing: PacketRouting): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#closed) {
        reject(this.#closed);
        return;
      }
      this.#waiting.push({ content, routing, resolve, reject });
      this.#flush();
    });
  }

  /**
   * Sends on this channel from now on: what waited goes out.
   *
   * @param lastReceived the last packet that the server has got of this session: those after it are sent again first. It
   *   drops what comes to it twice
   */
  open(channel: PacketChannel, lastReceived?: number): void {
    this.#channel = channel;
    channel.setBufferedAmountLowThreshold(this.#thresholdBytes);
    channel.onBufferedAmountLow = () => this.#flush();
    if (lastReceived !== undefined) {
      for (const { bytes } of this.#outbox.since(lastReceived)) channel.send(bytes);
    }
    this.#flush();
  }

  /** There is no channel until the next `open`: packets wait. */
  suspend(): void {
    if (this.#channel) this.#channel.onBufferedAmountLow = () => {};
    this.#channel = undefined;
  }

  /** A new session counts from 1; what the old one had in flight may or may not have arrived, and is not repeated. */
  renew(): void {
    this.#outbox = new ReliableOutbox();
  }

  /** Refuses what waits, and everything later. */
  close(error: OffhookError): void {
    this.#closed = error;
    this.suspend();
    for (const packet of this.#waiting.splice(0)) packet.reject(error);
  }

  #flush(): void {
    const channel = this.#channel;
    if (!channel) return;
    let sent = 0;
    while (sent < this.#waiting.length && channel.isOpen && channel.bufferedAmount <= this.#thresholdBytes) {
      const packet = this.#waiting[sent]!;
      sent++;
      this.#sendNow(channel, packet);
    }
    this.#waiting.splice(0, sent);
  }

  /** Settles the packet, whatever becomes of it: those behind it must not wait for it. */
  #sendNow(channel: PacketChannel, { content, routing, resolve, reject }: WaitingPacket): void {
    const reliable = this.#kind === 'reliable';
    const sequence = reliable ? this.#outbox.nextSequence : 0;
    try {
      const bytes = new DataPacket({
        kind: reliable ? DataPacket_Kind.RELIABLE : DataPacket_Kind.LOSSY,
        value: content,
        destinationIdentities: [...(routing.destinationIdentities ?? [])],
        participantIdentity: routing.senderIdentity ?? '',
        sequence,
      }).toBinary();
      channel.send(bytes);
      if (reliable) this.#outbox.sent({ sequence, bytes }, channel.bufferedAmount);
      resolve();
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const message = `a data packet (${content.case}) could not be sent: ${reason}`;
      reject(new OffhookError('OFFHOOK_INVALID_REQUEST', message, { cause }));
    }
  }
}
