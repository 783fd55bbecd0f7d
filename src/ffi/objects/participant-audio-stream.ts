import type { TrackSource } from '@livekit/protocol';
import type { AudioStream } from '../../audio/index.js';
import { RemoteAudioTrack, type RoomEvent, type TrackStreamOptions } from '../../room/index.js';
import type { FfiRoom } from './ffi-room.js';

/** One stream over all the tracks of one source that a participant publishes one after another, until it leaves. */
export class ParticipantAudioStream {
  #room: FfiRoom;
  #identity: string;
  #source: TrackSource | undefined;
  #options: TrackStreamOptions;
  #current: AudioStream | undefined;
  #stopListening: () => void;
  #closed = false;

  /** @param source any audio track without it */
  constructor(room: FfiRoom, identity: string, source: number | undefined, options: TrackStreamOptions) {
    this.#room = room;
    this.#identity = identity;
    this.#source = source as TrackSource | undefined;
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
      if (!(track instanceof RemoteAudioTrack) || (this.#source && source !== this.#source)) continue;
      this.#current = track.openStream({
        ...this.#options,
        onEnd: () => {
          this.#current = undefined;
        },
      });
      return;
    }
  }
}
