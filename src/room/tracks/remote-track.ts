import type { TrackType } from '@livekit/protocol';
import type { RemoteTrackPublication } from './remote-track-publication.js';

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
