import type { TrackPublicationInfo } from '../info.js';
import type { PublishAudioOptions, PublishVideoOptions } from '../options.js';
import type { LocalAudioTrack, LocalVideoTrack } from './local-track.js';
import { TrackPublication } from './track-publication.js';

/** A track of ours as the server knows it. The object lives through a full reconnect, its sid changes then. */
export class LocalTrackPublication extends TrackPublication {
  readonly track: LocalAudioTrack | LocalVideoTrack;
  readonly options: PublishAudioOptions | PublishVideoOptions;

  constructor(
    info: TrackPublicationInfo,
    track: LocalAudioTrack | LocalVideoTrack,
    options: PublishAudioOptions | PublishVideoOptions,
  ) {
    super(info);
    this.track = track;
    this.options = options;
  }

  setMuted(muted: boolean): void {
    this.track.setMuted(muted);
  }
}
