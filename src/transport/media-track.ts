import type { Track as AddonTrack } from 'node-datachannel';
import type { Traffic } from './traffic.js';

/** One media section of a peer connection: RTP and RTCP packets in and out, already decrypted or not yet encrypted. */
export class MediaTrack {
  readonly mid: string;
  readonly kind: 'audio' | 'video';
  #track: AddonTrack;
  #traffic: Traffic;
  #open: boolean;
  #closed = false;
  onOpen: () => void = () => {};
  onClose: () => void = () => {};
  /** An RTP or RTCP packet (RFC 5761 tells them apart) as it came. */
  onPacket: (packet: Buffer) => void = () => {};

  constructor(track: AddonTrack, traffic: Traffic) {
    this.#track = track;
    this.#traffic = traffic;
    this.mid = track.mid();
    this.kind = track.type() === 'video' ? 'video' : 'audio';
    this.#open = track.isOpen();
    track.onOpen(() => {
      this.#open = true;
      this.onOpen();
    });
    track.onClosed(() => {
      this.close();
      this.onClose();
    });
    track.onError(() => {});
    track.onMessage((packet) => {
      traffic.bytesReceived += packet.length;
      this.onPacket(packet);
    });
  }

  get isOpen(): boolean {
    return this.#open;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Sends one RTP or RTCP packet; returns false when the track is not open, and the packet is dropped. */
  send(packet: Buffer): boolean {
    if (!this.#open || this.#closed) return false;
    this.#traffic.bytesSent += packet.length;
    return this.#track.sendMessageBinary(packet);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#open = false;
    this.#track.close();
  }
}
