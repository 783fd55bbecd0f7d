import { OffhookError } from '../../errors/index.js';
import { LocalParticipant, type RemoteParticipant } from '../../room/index.js';
import type { FfiRoom } from './ffi-room.js';

/** A participant that the program has a handle of, with its room. */
export class FfiParticipant {
  readonly room: FfiRoom;
  readonly participant: LocalParticipant | RemoteParticipant;

  constructor(room: FfiRoom, participant: LocalParticipant | RemoteParticipant) {
    this.room = room;
    this.participant = participant;
  }

  /** @throws OffhookError `OFFHOOK_INVALID_REQUEST` when the handle is a remote participant's */
  get local(): LocalParticipant {
    if (this.participant instanceof LocalParticipant) return this.participant;
    throw new OffhookError(
      'OFFHOOK_INVALID_REQUEST',
      `participant ${this.participant.identity} is not the local one`,
    );
  }
}
