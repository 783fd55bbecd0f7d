import type { Codec } from '../../transport/index.js';
import type { TransportStats } from '../stats.js';

/** The media section that carries a track at a time: what its statistics name besides counts. */
export interface TrackSection {
  mid: string;
  /** As the section's msid has it. */
  trackId: string;
  codecs: readonly Codec[];
  transport: () => TransportStats;
}
