import type { Participant } from './participant.js';

/** Whether a subscriber is to have a track: it may subscribe, it wishes to, and the publisher lets it. */
export function wantsTrack(subscriber: Participant, publisher: Participant, trackSid: string): boolean {
  const wish = subscriber.subscriptionWishes.get(trackSid) ?? subscriber.client.autoSubscribe;
  return wish && subscriber.permission.canSubscribe && isPermitted(subscriber, publisher, trackSid);
}

/** Whether the publisher lets a participant subscribe to one of its tracks. */
export function isPermitted(subscriber: Participant, publisher: Participant, trackSid: string): boolean {
  return publisher.subscriptionPermission.allows(subscriber, trackSid);
}
