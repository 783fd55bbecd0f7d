import type { TrackType, UpdateTrackSettings } from '@livekit/protocol';
import type { FrameFilter } from '../../audio/index.js';
import type { StreamFilter } from '../options.js';
import type { RemoteTrackPublication } from './remote-track-publication.js';

/** What remote publications and tracks ask of their room. */
export interface RemoteTrackHost {
  setSubscribed(publicationSid: string, subscribed: boolean): void;
  updateTrackSettings(settings: UpdateTrackSettings): void;
  createFilter(
    track: RemoteTrack,
    filter: StreamFilter,
    format: { sampleRate: number; numChannels: number },
  ): FrameFilter;
}

/** A track that is being received, from its `trackSubscribed` to its `trackUnsubscribed`. */
export class RemoteTrack {
  readonly sid: string;
  readonly kind: TrackType;
  readonly publication: RemoteTrackPublication;

  constructor(publication: RemoteTrackPublication) {
    this.sid = publication.sid;
    this.kind = publication.kind;
    this.publication = publication;
  }

  get name(): string {
    return this.publication.name;
  }

  get muted(): boolean {
    return this.publication.muted;
  }

  /** For the room only: the track is gone. */
  close(): void {}
}
