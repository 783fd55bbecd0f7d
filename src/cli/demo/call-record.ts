import type { CallRecord as TelephoneRecord } from '../../sip/index.js';
import type { TimelineRecord } from '../../timeline/index.js';

export type EngineName = 'offhook' | 'native';

/** Who did something in the scene. */
export type Actor = 'caller' | 'agent' | 'engine';

export interface CallStep {
  /** Milliseconds since the caller dialled. */
  atMs: number;
  who: Actor;
  what: string;
  /** Drawn as a line in the chart, with this short label. */
  mark?: string;
}

/** One call, as the demo saw it. */
export interface CallRecord {
  /** The engine under the agent. */
  engine: EngineName;
  /** Whether the caller was greeted, before hanging up. */
  greeted: boolean;
  /** From dialling to the first audible sound at the caller. */
  firstAudioMs?: number;
  /** From dialling to hanging up. */
  durationMs: number;
  filterBehaviour: string;
  steps: CallStep[];
  /** Level of what the caller heard, in dBFS, one value each `levelStepMs`; null is silence. */
  levels: (number | null)[];
  levelStepMs: number;
  timelines: TimelineRecord[];
  /** What the gateway recorded, when the caller has a telephone. */
  telephone?: TelephoneRecord;
}
