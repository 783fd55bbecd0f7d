import type { ParticipantInfo } from '../info.js';
import type { RemoteTrackPublication } from '../tracks/remote-track-publication.js';
import { Participant } from './participant.js';

/** Another participant, from its `participantConnected` to its `participantDisconnected`. */
export class RemoteParticipant extends Participant {
  #publications = new Map<string, RemoteTrackPublication>();

  constructor(info: ParticipantInfo) {
    super(info);
  }

  /** By sid. */
  get publications(): ReadonlyMap<string, RemoteTrackPublication> {
    return this.#publications;
  }

  /** For the room only. */
  addPublication(publication: RemoteTrackPublication): void {
    this.#publications.set(publication.sid, publication);
  }

  /** For the room only. */
  removePublication(sid: string): void {
    this.#publications.delete(sid);
  }
}
