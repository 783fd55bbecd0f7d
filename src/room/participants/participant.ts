import type { ConnectionQuality } from '@livekit/protocol';
import type { ParticipantInfo } from '../info.js';

/** Someone in the room. Its properties are the latest that the server said. */
export abstract class Participant {
  #info: ParticipantInfo;
  /** Whether the server counts it among the active speakers. */
  isSpeaking = false;
  /** 0 to 1, as the server last said. */
  audioLevel = 0;
  connectionQuality: ConnectionQuality | undefined;

  constructor(info: ParticipantInfo) {
    this.#info = info;
  }

  get info(): ParticipantInfo {
    return this.#info;
  }

  get sid(): string {
    return this.#info.sid;
  }

  get identity(): string {
    return this.#info.identity;
  }

  get name(): string {
    return this.#info.name;
  }

  get metadata(): string {
    return this.#info.metadata;
  }

  get attributes(): Readonly<Record<string, string>> {
    return this.#info.attributes;
  }

  /** For the room only: takes what the server said. */
  update(info: ParticipantInfo): void {
    this.#info = info;
  }
}
