import { ConnectionQuality, ConnectionQualityInfo } from '@livekit/protocol';
import type { Participant } from './participant.js';

const scores = {
  [ConnectionQuality.EXCELLENT]: 4.5,
  [ConnectionQuality.GOOD]: 3.5,
  [ConnectionQuality.POOR]: 2,
  [ConnectionQuality.LOST]: 0,
};
const goodLoss = 0.02;
const poorLoss = 0.1;

/** Rates each participant's connection by the losses in both directions. */
export class QualityObserver {
  #announced = new Map<string, ConnectionQuality>();

  forget(sid: string): void {
    this.#announced.delete(sid);
  }

  /** The ratings that changed since the last update. */
  update(participants: Iterable<Participant>): ConnectionQualityInfo[] {
    const changed: ConnectionQualityInfo[] = [];
    for (const participant of participants) {
      const quality = participant.boundary.run('rating', () => qualityOf(participant));
      if (quality === undefined || this.#announced.get(participant.sid) === quality) continue;
      this.#announced.set(participant.sid, quality);
      changed.push(
        new ConnectionQualityInfo({ participantSid: participant.sid, quality, score: scores[quality] }),
      );
    }
    return changed;
  }
}

function qualityOf({ socket, publisher, subscriber }: Participant): ConnectionQuality {
  if (!socket) return ConnectionQuality.LOST;
  let loss = publisher.fractionLost;
  for (const { fractionLost } of subscriber.downTracks.values()) loss = Math.max(loss, fractionLost);
  if (loss >= poorLoss) return ConnectionQuality.POOR;
  return loss >= goodLoss ? ConnectionQuality.GOOD : ConnectionQuality.EXCELLENT;
}
