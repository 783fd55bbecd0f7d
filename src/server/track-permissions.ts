import type { SubscriptionPermission, TrackPermission } from '@livekit/protocol';
import { limits } from './limits.js';

type Wish = Pick<SubscriptionPermission, 'allParticipants'> & Partial<SubscriptionPermission>;

/**
 * Whom a publisher lets subscribe to what. It is looked up for each track and each participant, so it is an index: a
 * list as long as a message may be would take seconds each time. The first entry for a participant counts.
 */
export class TrackPermissions {
  readonly #allParticipants: boolean;
  #byIdentity = new Map<string, ReadonlySet<string> | 'all'>();
  #bySid = new Map<string, ReadonlySet<string> | 'all'>();

  constructor({ allParticipants, trackPermissions = [] }: Wish) {
    this.#allParticipants = allParticipants;
    if (allParticipants) return;
    let remaining: number = limits.trackPermissions.value;
    for (const permission of trackPermissions) {
      remaining -= 1 + permission.trackSids.length;
      if (remaining < 0) break;
      this.#add(permission);
    }
  }

  allows({ identity, sid }: { identity: string; sid: string }, trackSid: string): boolean {
    if (this.#allParticipants) return true;
    const granted = this.#byIdentity.get(identity) ?? this.#bySid.get(sid);
    return granted === 'all' || (granted?.has(trackSid) ?? false);
  }

  #add({ participantIdentity, participantSid, allTracks, trackSids }: TrackPermission): void {
    const [index, name] =
      participantIdentity === '' ? [this.#bySid, participantSid] : [this.#byIdentity, participantIdentity];
    if (!index.has(name)) index.set(name, allTracks ? 'all' : new Set(trackSids));
  }
}
