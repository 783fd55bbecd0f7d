export interface Speaker {
  /** Sid of the participant. */
  sid: string;
  /** 0 to 1. */
  level: number;
  active: boolean;
}

interface SpeakerObserverOptions {
  /** Below this a packet is silence. */
  activeDbov: number;
  /** Part of the packets between two updates that must be louder. */
  minActiveShare: number;
  /** Weight of the newest level against the ones before, 0 to 1. */
  smoothing: number;
}

const defaults: SpeakerObserverOptions = { activeDbov: -35, minActiveShare: 0.3, smoothing: 0.5 };
const loudestDbov = -10;
/** Levels are told in steps, so that a steady voice causes no updates. */
const levelSteps = 8;

interface Observation {
  packets: number;
  activePackets: number;
  loudestDbov: number;
}

/** Decides who is speaking from the audio levels of RTP packets (RFC 6464). Pure: time is the caller's updates. */
export class SpeakerObserver {
  #options: SpeakerObserverOptions;
  #observed = new Map<string, Observation>();
  #levels = new Map<string, number>();
  #told = new Map<string, number>();

  constructor(options: Partial<SpeakerObserverOptions> = {}) {
    this.#options = { ...defaults, ...options };
  }

  /** One packet's level. */
  observe(sid: string, dbov: number): void {
    const observation = this.#observed.get(sid) ?? { packets: 0, activePackets: 0, loudestDbov: -127 };
    observation.packets++;
    if (dbov >= this.#options.activeDbov) observation.activePackets++;
    observation.loudestDbov = Math.max(observation.loudestDbov, dbov);
    this.#observed.set(sid, observation);
  }

  forget(sid: string): void {
    this.#observed.delete(sid);
    this.#levels.delete(sid);
  }

  /** Speakers whose level changed since the last update, the loudest first; those who fell silent are inactive. */
  update(): Speaker[] {
    const sids = new Set([...this.#observed.keys(), ...this.#levels.keys(), ...this.#told.keys()]);
    const changed: Speaker[] = [];
    for (const sid of sids) {
      const level = this.#smooth(sid);
      if (level === (this.#told.get(sid) ?? 0)) continue;
      changed.push({ sid, level, active: level > 0 });
      if (level > 0) this.#told.set(sid, level);
      else this.#told.delete(sid);
    }
    this.#observed.clear();
    return changed.sort((a, b) => b.level - a.level);
  }

  /** The new level, quantized; 0 is silence. */
  #smooth(sid: string): number {
    const { activeDbov, minActiveShare, smoothing } = this.#options;
    const observation = this.#observed.get(sid);
    const active = observation && observation.activePackets / observation.packets >= minActiveShare;
    const span = loudestDbov - activeDbov;
    const target = active ? Math.min(1, Math.max(0.1, (observation.loudestDbov - activeDbov) / span)) : 0;
    const level = smoothing * target + (1 - smoothing) * (this.#levels.get(sid) ?? 0);
    if (target === 0 && level < 0.5 / levelSteps) {
      this.#levels.delete(sid);
      return 0;
    }
    this.#levels.set(sid, level);
    return Math.ceil(level * levelSteps) / levelSteps;
  }
}
