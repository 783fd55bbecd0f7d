/** Who is not heard of for this long is forgotten; the server resends nothing older. */
const forgetAfterMs = 30_000;

/** Recognizes reliable packets that come twice, as they may when a session resumes. */
export class ReliableInbox {
  #last = new Map<string, { sequence: number; atMs: number }>();
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
    const atMs = this.#nowMs();
    const last = this.#last.get(publisherSid);
    if (last && sequence <= last.sequence) return false;
    this.#last.set(publisherSid, { sequence, atMs });
    return true;
  }

  /** The last number received of each publisher, for SyncState.datachannel_receive_states. */
  states(): { publisherSid: string; lastSeq: number }[] {
    const sinceMs = this.#nowMs() - forgetAfterMs;
    for (const [sid, { atMs }] of this.#last) if (atMs < sinceMs) this.#last.delete(sid);
    return [...this.#last].map(([publisherSid, { sequence }]) => ({ publisherSid, lastSeq: sequence }));
  }
}
