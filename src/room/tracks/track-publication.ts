import type { TrackSource, TrackType } from '@livekit/protocol';
import type { TrackPublicationInfo } from '../info.js';

/** A track as the server knows it. Its properties are the latest that the server said. */
export abstract class TrackPublication {
  #info: TrackPublicationInfo;

  constructor(info: TrackPublicationInfo) {
    this.#info = info;
  }

  get info(): TrackPublicationInfo {
    return this.#info;
  }

  get sid(): string {
    return this.#info.sid;
  }

  get name(): string {
    return this.#info.name;
  }

  get kind(): TrackType {
    return this.#info.kind;
  }

  get source(): TrackSource {
    return this.#info.source;
  }

  get muted(): boolean {
    return this.#info.muted;
  }

  /** For the room only: takes what the server said. */
  update(info: TrackPublicationInfo): void {
    this.#info = info;
  }
}
