import { ConnectionQuality, ConnectionQualityInfo, ConnectionQualityUpdate } from '@livekit/protocol';
import type { Participant } from './participant.js';

const scores = {
  [ConnectionQuality.EXCELLENT]: 4.5,
  [ConnectionQuality.GOOD]: 3.5,
  [ConnectionQuality.POOR]: 2,
  [ConnectionQuality.LOST]: 0,
};
const goodLoss = 0.02;
const poorLoss = 0.1;

/** Rates each participant's connection by the losses in both directions, and tells what changed. */
export class QualityObserver {
  #told = new Map<string, ConnectionQuality>();

  forget(sid: string): void {
    this.#told.delete(sid);
  }

  /** What is to be told of `participants`; undefined when nothing changed. */
  update(participants: readonly Participant[]): ConnectionQualityUpdate | undefined {
    const updates: ConnectionQualityInfo[] = [];
    for (const participant of participants) {
      const quality = qualityOf(participant);
      if (this.#told.get(participant.sid) === quality) continue;
      this.#told.set(participant.sid, quality);
      updates.push(
        new ConnectionQualityInfo({ participantSid: participant.sid, quality, score: scores[quality] }),
      );
    }
    return updates.length > 0 ? new ConnectionQualityUpdate({ updates }) : undefined;
  }
}

function qualityOf({ socket, publisher, subscriber }: Participant): ConnectionQuality {
  if (!socket) return ConnectionQuality.LOST;
  const down = [...subscriber.downTracks.values()].map(({ fractionLost }) => fractionLost);
  const loss = Math.max(publisher.fractionLost, ...down);
  if (loss >= poorLoss) return ConnectionQuality.POOR;
  return loss >= goodLoss ? ConnectionQuality.GOOD : ConnectionQuality.EXCELLENT;
}
