import type { AudioSender, AudioSenderStats, AudioSource } from '../audio/index.js';

/** A source under a name, that may be published, muted, unpublished and published again. */
export class LocalAudioTrack {
  readonly name: string;
  readonly source: AudioSource;
  #muted = false;
  #sender: AudioSender | undefined;
  #onMute: ((muted: boolean) => void) | undefined;
  /** Given by the server while the track is published; after a full reconnect it is another one. */
  sid: string | undefined;

  constructor(name: string, source: AudioSource) {
    this.name = name;
    this.source = source;
  }

  get muted(): boolean {
    return this.#muted;
  }

  /** While muted the others hear silence, and are told of it. May be called before publishing. */
  setMuted(muted: boolean): void {
    if (this.#muted === muted) return;
    this.#muted = muted;
    this.#sender?.setMuted(muted);
    this.#onMute?.(muted);
  }

  /** What was sent; undefined while the track is not published. */
  stats(): AudioSenderStats | undefined {
    return this.#sender?.stats();
  }

  /** For the room only: the sender that carries the track now. */
  attach(sender: AudioSender | undefined): void {
    this.#sender = sender;
    sender?.setMuted(this.#muted);
  }

  /** For the room only: who is told of muting while the track is published. */
  set onMute(listener: ((muted: boolean) => void) | undefined) {
    this.#onMute = listener;
  }
}
