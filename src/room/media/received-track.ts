import { type AudioPayload, AudioReceiver } from '../../audio/index.js';
import type { MediaSection, MediaTrack } from '../../transport/index.js';

interface ReceivedTrackOptions {
  trackSid: string;
  participantSid: string;
  kind: 'audio' | 'video';
}

/**
 * A remote track's media. It outlives the peer connection it came over: after a full reconnect the same track comes
 * over another one, and its streams go on.
 */
export class ReceivedTrack {
  readonly trackSid: string;
  readonly participantSid: string;
  readonly kind: 'audio' | 'video';
  /** Undefined for video, whose packets are dropped. */
  readonly receiver: AudioReceiver | undefined;
  #media: MediaTrack | undefined;

  constructor({ trackSid, participantSid, kind }: ReceivedTrackOptions) {
    this.trackSid = trackSid;
    this.participantSid = participantSid;
    this.kind = kind;
    if (kind === 'video') return;
    this.receiver = new AudioReceiver({
      payloadTypes: new Map(),
      sendRtcp: (packet) => this.#media?.send(packet),
    });
  }

  get isBound(): boolean {
    return this.#media !== undefined;
  }

  /** Takes packets from `media` from now on, as the media section `section` describes them. */
  bind(media: MediaTrack, section: MediaSection): void {
    if (this.#media && this.#media !== media) this.#media.onPacket = () => {};
    this.#media = media;
    const { receiver } = this;
    receiver?.setPayloadTypes(audioPayloads(section));
    media.onPacket = receiver ? (packet) => receiver.handlePacket(packet) : () => {};
  }

  /** The peer connection is gone; the track may come over another one. */
  unbind(): void {
    if (this.#media) this.#media.onPacket = () => {};
    this.#media = undefined;
  }

  /** Ends the track's streams. */
  close(): void {
    this.unbind();
    this.receiver?.close();
  }
}

function audioPayloads({ codecs }: MediaSection): Map<number, AudioPayload> {
  const payloads = new Map<number, AudioPayload>();
  for (const codec of codecs) {
    const name = codec.name.toLowerCase();
    if (name === 'opus' || name === 'red') payloads.set(codec.payloadType, name);
  }
  return payloads;
}
