import type { TrackSource } from '@livekit/protocol';
import type { RemoteTrack, RoomEvent } from '../../room/index.js';
import type { FfiRoom } from './ffi-room.js';

interface Closable {
  close(): void;
}

export interface ParticipantStreamOptions {
  /** Any without it. */
  source: number | undefined;
  /** Opens a stream of a track; undefined for one of another kind. */
  open(track: RemoteTrack, onEnd: () => void): Closable | undefined;
  onEnd(): void;
}

/** One stream over all the tracks of one source that a participant publishes one after another, until it leaves. */
export class ParticipantStream {
  #room: FfiRoom;
  #identity: string;
  #source: TrackSource | undefined;
  #options: ParticipantStreamOptions;
  #current: Closable | undefined;
  #stopListening: () => void;
  #closed = false;

  constructor(room: FfiRoom, identity: string, options: ParticipantStreamOptions) {
    this.#room = room;
    this.#identity = identity;
    this.#source = options.source as TrackSource | undefined;
    this.#options = options;
    this.#stopListening = room.listen((event) => this.#onEvent(event));
    this.#openNext();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopListening();
    this.#current?.close();
    this.#options.onEnd();
  }

  #onEvent(event: RoomEvent): void {
    if (event.type === 'disconnected') this.close();
    else if (!('participantIdentity' in event) || event.participantIdentity !== this.#identity) return;
    else if (event.type === 'participantDisconnected') this.close();
    else if (event.type === 'trackSubscribed') this.#openNext();
  }

  #openNext(): void {
    if (this.#current || this.#closed) return;
    const publications = this.#room.room.remoteParticipants.get(this.#identity)?.publications.values() ?? [];
    for (const { track, source } of publications) {
      if (!track || (this.#source && source !== this.#source)) continue;
      this.#current = this.#options.open(track, () => {
        this.#current = undefined;
      });
      if (this.#current) return;
    }
  }
}
