import { createLogger } from '../../logging/index.js';
import type { RoomContext } from '../room-context.js';
import type { OfferedTrack } from './received-sections.js';
import { ReceivedTrack } from './received-track.js';

const log = createLogger('room/media');
/** Media normally comes after its publication was announced; the other way round, the announcement may take this long. */
const claimWithinMs = 5_000;
/** After a new session, tracks that we had may take this long to come again. */
const returnWithinMs = 5_000;

/** The media of all remote tracks, by sid. */
export class RemoteMedia {
  #tracks = new Map<string, ReceivedTrack>();
  #timers = new Map<string, NodeJS.Timeout>();
  #returnTimer: NodeJS.Timeout | undefined;
  #context: Pick<RoomContext, 'dispatch' | 'subject'>;

  constructor(context: Pick<RoomContext, 'dispatch' | 'subject'>) {
    this.#context = context;
  }

  get(trackSid: string): ReceivedTrack | undefined {
    return this.#tracks.get(trackSid);
  }

  get all(): Iterable<ReceivedTrack> {
    return this.#tracks.values();
  }

  /** Takes the list of tracks that the server sends now. */
  update(offered: readonly OfferedTrack[]): void {
    const current = new Set(offered.map(({ trackSid }) => trackSid));
    for (const [trackSid, track] of this.#tracks) {
      if (current.has(trackSid) || !track.isBound) continue;
      track.unbind();
      this.#context.dispatch({ type: 'mediaEnded', trackSid });
      this.forget(trackSid);
    }
    for (const carried of offered) {
      const { trackSid, participantSid, media } = carried;
      const { kind } = media;
      const track =
        this.#tracks.get(trackSid) ??
        new ReceivedTrack({ trackSid, participantSid, kind, subject: this.#context.subject });
      this.#tracks.set(trackSid, track);
      track.bind(carried);
      this.#context.dispatch({ type: 'mediaArrived', participantSid, trackSid });
      this.#awaitClaim(trackSid);
    }
  }

  /** The session is gone; the same tracks may come over the next one. */
  suspend(): void {
    for (const track of this.#tracks.values()) track.unbind();
  }

  /** A new session is up: what does not come again in a while has ended. */
  awaitReturn(): void {
    clearTimeout(this.#returnTimer);
    this.#returnTimer = setTimeout(() => {
      for (const [trackSid, track] of this.#tracks) {
        if (track.isBound) continue;
        log
          .about(this.#context.subject)
          .warn(`track ${trackSid} was not received again after reconnecting; it has ended`);
        this.#context.dispatch({ type: 'mediaEnded', trackSid });
        this.forget(trackSid);
      }
    }, returnWithinMs);
  }

  /** The track is unsubscribed from: its streams end. */
  forget(trackSid: string): void {
    clearTimeout(this.#timers.get(trackSid));
    this.#timers.delete(trackSid);
    this.#tracks.get(trackSid)?.close();
    this.#tracks.delete(trackSid);
  }

  close(): void {
    clearTimeout(this.#returnTimer);
    for (const trackSid of [...this.#tracks.keys()]) this.forget(trackSid);
  }

  #awaitClaim(trackSid: string): void {
    if (this.#timers.has(trackSid)) return;
    const timer = setTimeout(
      () => this.#context.dispatch({ type: 'mediaUnclaimed', trackSid }),
      claimWithinMs,
    );
    this.#timers.set(trackSid, timer);
  }
}
