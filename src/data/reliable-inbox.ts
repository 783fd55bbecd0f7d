import { limits } from '../limits.js';
import { SequenceWindow } from './sequence-window.js';

/** A publisher that is silent for this long is forgotten; the server resends nothing older. */
const forgetAfterMs = 30_000;

/** Recognizes reliable packets that come twice, as they may when a session resumes. */
export class ReliableInbox {
  #publishers = new Map<string, { received: SequenceWindow; atMs: number }>();
  #nowMs: () => number;

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /**
   * Whether the packet is new. Packets without a number (of servers' APIs) always are.
   *
   * @param publisherSid DataPacket.participant_sid
   */
  accept(publisherSid: string, sequence: number): boolean {
    if (publisherSid === '' || sequence === 0) return true;
    const publisher = this.#publishers.get(publisherSid) ?? { received: new SequenceWindow(), atMs: 0 };
    // The map is ordered by when each publisher was last heard.
    this.#publishers.delete(publisherSid);
    this.#publishers.set(publisherSid, publisher);
    if (this.#publishers.size > limits.publishersRemembered.value) {
      this.#publishers.delete(this.#publishers.keys().next().value!);
    }
    publisher.atMs = this.#nowMs();
    return publisher.received.add(sequence);
  }

  /** The last number received of each publisher, for SyncState.datachannel_receive_states. */
  states(): { publisherSid: string; lastSeq: number }[] {
    const sinceMs = this.#nowMs() - forgetAfterMs;
    for (const [sid, { atMs }] of this.#publishers) if (atMs < sinceMs) this.#publishers.delete(sid);
    return [...this.#publishers].map(([publisherSid, { received }]) => ({
      publisherSid,
      lastSeq: received.highest,
    }));
  }
}
