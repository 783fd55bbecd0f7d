import type { IceCandidate } from '../../transport/index.js';
import type { DataOutbox } from './data-outbox.js';
import type { DownTrack } from './down-track.js';
import type { UpTrack } from './up-track.js';

/** How tracks and data reach a participant: on a peer connection for that, or on the one that it publishes on. */
export interface Downlink {
  /** Subscriptions by track sid. */
  readonly downTracks: ReadonlyMap<string, DownTrack>;
  readonly outbox: DataOutbox;
  /** Begins to negotiate; tracks that were added before are in. */
  start(): void;
  addTrack(upTrack: UpTrack, publisherSid: string): void;
  removeTrack(sid: string): void;
  /** Takes an answer of the client's, where it is the one to answer. */
  accept(sdp: string, id: number): void;
  addIceCandidate(candidate: IceCandidate): void;
  /** The client has resumed its session: repeats what may have been lost with the signalling connection. */
  resumed(): void;
  /** Once a second: shares out the path to the client among its tracks, and chooses their layers. */
  update(nowMs: number): void;
  close(): void;
}
