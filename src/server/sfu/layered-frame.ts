/**
 * One frame of a stream with several layers (SVC), as each of its packets is read. "Layers" stands for a spatial and a
 * temporal layer with all below them that they need, as one number (see `targetOf`).
 */
export interface LayeredFrame {
  /** Counts the frames of the stream. Each spatial layer of a picture is a frame of its own. */
  number: number;
  spatial: number;
  temporal: number;
  /** One bit for each of the layers whose receivers need the frame. */
  neededBy: number;
  /** Those of them that can be received from this frame on, if what it refers to was received. */
  startsFor: number;
  /** Numbers of frames. */
  references: readonly number[];
}

const temporalLayers = 4;
/** The best that there can be. */
export const bestTarget = 31;

/** The number of a pair of layers, 0 to 31. Temporal layers beyond the fourth count as the fourth. */
export function targetOf(spatial: number, temporal: number): number {
  return spatial * temporalLayers + Math.min(temporal, temporalLayers - 1);
}

export const spatialOf = (target: number): number => Math.floor(target / temporalLayers);
export const temporalOf = (target: number): number => target % temporalLayers;

export const hasTarget = (targets: number, target: number): boolean => ((targets >>> target) & 1) === 1;

/** The best of a set of targets that has no more of either layer than `most`; undefined where there is none. */
export function bestWithin(targets: number, most: number): number | undefined {
  for (let spatial = spatialOf(most); spatial >= 0; spatial--) {
    for (let temporal = temporalOf(most); temporal >= 0; temporal--) {
      const target = targetOf(spatial, temporal);
      if (hasTarget(targets, target)) return target;
    }
  }
  return undefined;
}
