import { UpdateTrackSettings, VideoQuality } from '@livekit/protocol';
import type { TrackPublicationInfo } from '../info.js';
import type { RemoteTrack, RemoteTrackHost } from './remote-track.js';
import { TrackPublication } from './track-publication.js';

/** A track that a remote participant publishes, subscribed or not. */
export class RemoteTrackPublication extends TrackPublication {
  readonly participantIdentity: string;
  #host: RemoteTrackHost;
  #subscribed: boolean;
  #enabled = true;
  #quality = VideoQuality.HIGH;
  #dimensions: { width: number; height: number } | undefined;
  /** The track while it is being received. */
  track: RemoteTrack | undefined;
  /** Whether the publisher lets us subscribe. */
  subscriptionAllowed = true;

  constructor(
    info: TrackPublicationInfo,
    participantIdentity: string,
    host: RemoteTrackHost,
    subscribed: boolean,
  ) {
    super(info);
    this.participantIdentity = participantIdentity;
    this.#host = host;
    this.#subscribed = subscribed;
  }

  /** Whether the program wants the track; `track` is there once the server sends it. */
  get isDesired(): boolean {
    return this.#subscribed;
  }

  get isEnabled(): boolean {
    return this.#enabled;
  }

  setSubscribed(subscribed: boolean): void {
    if (this.#subscribed === subscribed) return;
    this.#subscribed = subscribed;
    this.#host.setSubscribed(this.sid, subscribed);
  }

  /** Asks the server to send the track's media, or to hold it back while the subscription stays. */
  setEnabled(enabled: boolean): void {
    if (this.#enabled === enabled) return;
    this.#enabled = enabled;
    this.#sendSettings();
  }

  /** Of a simulcast video track, the layer wanted. */
  setQuality(quality: VideoQuality): void {
    this.#quality = quality;
    this.#sendSettings();
  }

  /** Of a simulcast video track, the size at which it is shown. */
  setDimensions(width: number, height: number): void {
    this.#dimensions = { width, height };
    this.#sendSettings();
  }

  /** For the room only: a new session knows nothing of the settings. */
  repeatSettings(): void {
    if (!this.#enabled || this.#dimensions || this.#quality !== VideoQuality.HIGH) this.#sendSettings();
  }

  #sendSettings(): void {
    this.#host.updateTrackSettings(
      new UpdateTrackSettings({
        trackSids: [this.sid],
        disabled: !this.#enabled,
        ...(this.#dimensions ?? { quality: this.#quality }),
      }),
    );
  }
}
