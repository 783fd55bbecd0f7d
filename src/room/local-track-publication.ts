import type { TrackPublicationInfo } from './info.js';
import type { LocalAudioTrack } from './local-audio-track.js';
import type { PublishAudioOptions } from './options.js';
import { TrackPublication } from './track-publication.js';

/** A track of ours as the server knows it. The object lives through a full reconnect, its sid changes then. */
export class LocalTrackPublication extends TrackPublication {
  readonly track: LocalAudioTrack;
  readonly options: PublishAudioOptions;

  constructor(info: TrackPublicationInfo, track: LocalAudioTrack, options: PublishAudioOptions) {
    super(info);
    this.track = track;
    this.options = options;
  }

  setMuted(muted: boolean): void {
    this.track.setMuted(muted);
  }
}
