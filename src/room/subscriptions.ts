import { ParticipantTracks, type SubscriptionPermission, UpdateSubscription } from '@livekit/protocol';
import type { RoomContext } from './room-context.js';
import { publisherOf } from './state/room-state.js';

/**
 * Which tracks the program wants to receive, and who may receive its own. A server forgets both with the session, so both
 * are sent again to a new one.
 */
export class Subscriptions {
  /** Whether the server subscribes to every track by itself. */
  readonly autoSubscribe: boolean;
  #context: Pick<RoomContext, 'connection' | 'state'>;
  /** What the program chose for single tracks, by sid; others are as `autoSubscribe` says. */
  #chosen = new Map<string, boolean>();
  #permission: SubscriptionPermission | undefined;

  constructor(context: Pick<RoomContext, 'connection' | 'options' | 'state'>) {
    this.#context = context;
    this.autoSubscribe = context.options.autoSubscribe ?? true;
  }

  setSubscribed(trackSid: string, subscribe: boolean): void {
    this.#chosen.set(trackSid, subscribe);
    this.#send([trackSid], subscribe);
  }

  /** Who may subscribe to our tracks. */
  setPermission(permission: SubscriptionPermission): void {
    this.#permission = permission;
    this.#sendPermission();
  }

  /** The track is not published any more. */
  forget(trackSid: string): void {
    this.#chosen.delete(trackSid);
  }

  /** For SyncState: the tracks for which the program chose other than `autoSubscribe`. */
  exceptions(): UpdateSubscription {
    return new UpdateSubscription({ trackSids: this.#exceptions(), subscribe: !this.autoSubscribe });
  }

  /** The session was resumed, and SyncState sent. */
  resumed(): void {
    this.#sendPermission();
  }

  /** A new session took the place of the one that was lost. */
  rejoined(): void {
    const trackSids = this.#exceptions();
    if (trackSids.length > 0) this.#send(trackSids, !this.autoSubscribe);
    this.#sendPermission();
  }

  #exceptions(): string[] {
    return [...this.#chosen].filter(([, wanted]) => wanted !== this.autoSubscribe).map(([sid]) => sid);
  }

  #send(trackSids: string[], subscribe: boolean): void {
    const { connection } = this.#context;
    const room = this.#context.state();
    const byParticipant = new Map<string, string[]>();
    for (const trackSid of trackSids) {
      const participantSid = room && publisherOf(room, trackSid)?.info.sid;
      if (participantSid === undefined) continue;
      byParticipant.set(participantSid, [...(byParticipant.get(participantSid) ?? []), trackSid]);
    }
    const participantTracks = [...byParticipant].map(
      ([participantSid, sids]) => new ParticipantTracks({ participantSid, trackSids: sids }),
    );
    const value = new UpdateSubscription({ trackSids, subscribe, participantTracks });
    connection.send({ case: 'subscription', value });
  }

  #sendPermission(): void {
    if (!this.#permission) return;
    this.#context.connection.send({ case: 'subscriptionPermission', value: this.#permission });
  }
}
