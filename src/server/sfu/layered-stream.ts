import { type RtpPacket, Unwrapper } from '../../rtp/index.js';
import { type Vp9Layers, vp9Layers } from '../../video/index.js';
import {
  type DependencyDescriptor,
  type DependencyStructure,
  parseDependencyDescriptor,
} from './dependency-descriptor.js';
import {
  bestTarget,
  hasTarget,
  type LayeredFrame,
  spatialOf,
  targetOf,
  temporalOf,
} from './layered-frame.js';

/** A packet's frame, and whether the packet is the last of it. */
export interface LayeredPacket {
  frame: LayeredFrame;
  isEnd: boolean;
}

/** A picture of VP9, whose layers come as frames of their own under one timestamp. */
interface Picture {
  timestamp: number;
  number: number;
  /** It came behind a newer one: what it refers to is not known. */
  isLate: boolean;
  isKeyFrame: boolean;
  frames: (LayeredFrame | undefined)[];
}

const maxSpatialLayers = 8;
const maxTemporalLayers = 8;
const rememberedPictures = 16;
const rememberedFrames = 64;
/** A layer of which nothing came for so long is not sent now. */
const silentMs = 1_500;
const rateWindowMs = 1_000;
/** Publishers do not send exactly as often as they say. */
const rateTolerance = 0.9;
/** A frame that no subscriber has been sent. */
const unknownFrame = -1;

/** What is known of a stream that has, or may have, several layers (SVC): VP9 by its payloads, AV1 by dependency descriptors. */
export class LayeredStream {
  readonly ssrc: number;
  spatialLayers = 1;
  /** By spatial layer; empty while they are not known. */
  sizes: readonly { width: number; height: number }[] = [];
  #structure: DependencyStructure | undefined;
  #frameNumbers = new Unwrapper(16);
  #frames: (LayeredFrame | undefined)[] = new Array(rememberedFrames);
  #pictures: Picture[] = [];
  #pictureCount = 0;
  /** Of VP9, the number of the newest frame of each spatial and temporal layer. */
  #newest = new Map<number, number>();
  #lastMs: number[] = [];
  #sinceMs = Number.NaN;
  /** Since then; of the whole window before. By target, and by temporal layer. */
  #bytes = new Float64Array(bestTarget + 1);
  #pictureCounts = new Float64Array(maxTemporalLayers);
  #bitratesBps = new Float64Array(bestTarget + 1);
  #pictureRates = new Float64Array(maxTemporalLayers);

  constructor(ssrc: number) {
    this.ssrc = ssrc;
  }

  /**
   * Reads a packet; once for all subscribers. Undefined where it says nothing of layers.
   *
   * @param descriptor its dependency descriptor
   */
  read(
    packet: RtpPacket,
    codec: string,
    descriptor: Buffer | undefined,
    nowMs: number,
  ): LayeredPacket | undefined {
    const read =
      codec === 'vp9'
        ? this.#readVp9(packet)
        : codec === 'av1' && descriptor
          ? this.#readDescriptor(descriptor)
          : undefined;
    if (read) this.#measure(read.frame, packet.payload.length, nowMs);
    return read;
  }

  isSent(spatial: number, nowMs: number): boolean {
    return nowMs - (this.#lastMs[spatial] ?? Number.NEGATIVE_INFINITY) < silentMs;
  }

  /** What layers take with those that they need; 0 while that is not known. */
  bitrateBps(target: number): number {
    return this.#bitratesBps[target] ?? 0;
  }

  /** The lowest temporal layer that has so many pictures a second with those below it, or the highest of all. */
  temporalFor(fps: number): number {
    let rate = 0;
    for (let temporal = 0; temporal < maxTemporalLayers; temporal++) {
      rate += this.#pictureRates[temporal]!;
      if (fps > 0 && rate >= rateTolerance * fps) return temporalOf(targetOf(0, temporal));
    }
    return temporalOf(bestTarget);
  }

  #readDescriptor(bytes: Buffer): LayeredPacket | undefined {
    const descriptor = parseDependencyDescriptor(bytes, this.#structure);
    if (!descriptor) return undefined;
    const { structure } = descriptor;
    if (structure) {
      this.#structure = structure;
      this.spatialLayers = 1 + Math.max(...structure.targets.map(spatialOf));
      this.sizes = structure.sizes;
    }
    const number = this.#frameNumbers.unwrap(descriptor.frameNumber);
    const slot = ((number % rememberedFrames) + rememberedFrames) % rememberedFrames;
    let frame = this.#frames[slot];
    if (frame?.number !== number) {
      frame = frameOf(descriptor, number);
      this.#frames[slot] = frame;
      this.#countPicture(frame);
    }
    return { frame, isEnd: descriptor.isFrameEnd };
  }

  #readVp9({ payload, timestamp }: RtpPacket): LayeredPacket | undefined {
    const layers = vp9Layers(payload);
    if (!layers) return undefined;
    const { structure } = layers;
    if (structure) {
      this.spatialLayers = structure.spatialLayers;
      this.sizes = structure.sizes;
    }
    this.spatialLayers = Math.max(this.spatialLayers, layers.spatial + 1);
    const picture = this.#pictureAt(timestamp);
    let frame = picture.frames[layers.spatial];
    if (!frame) {
      frame = this.#frameOfPicture(picture, layers);
      picture.frames[layers.spatial] = frame;
      this.#countPicture(frame);
    }
    return { frame, isEnd: layers.isEnd };
  }

  #pictureAt(timestamp: number): Picture {
    const known = this.#pictures.findLast((picture) => picture.timestamp === timestamp);
    if (known) return known;
    const newest = this.#pictures.at(-1);
    const isLate = newest !== undefined && ((timestamp - newest.timestamp) | 0) < 0;
    const number = this.#pictureCount++;
    const picture = { timestamp, number, isLate, isKeyFrame: false, frames: [] };
    if (isLate) this.#pictures.unshift(picture);
    else this.#pictures.push(picture);
    if (this.#pictures.length > rememberedPictures) this.#pictures.shift();
    return picture;
  }

  /** What VP9 does not say of references is taken to be as many as there can be. */
  #frameOfPicture(picture: Picture, layers: Vp9Layers): LayeredFrame {
    const { spatial, temporal } = layers;
    if (spatial === 0) picture.isKeyFrame = !layers.isPredicted;
    const number = picture.number * maxSpatialLayers + spatial;
    const references: number[] = [];
    if (layers.isPredicted) references.push(...this.#newestBelow(spatial, temporal, layers.isSwitchingPoint));
    if (layers.usesLayerBelow) references.push(picture.frames[spatial - 1]?.number ?? unknownFrame);
    let neededBy = 0;
    let startsFor = 0;
    const highest = layers.isUsedAbove ? this.spatialLayers - 1 : spatial;
    for (let target = targetOf(spatial, temporal); target <= targetOf(highest, maxTemporalLayers); target++) {
      if (temporalOf(target) < temporalOf(targetOf(0, temporal))) continue;
      neededBy |= 1 << target;
      const isOwn = spatialOf(target) === spatial;
      const isStart = isOwn
        ? !layers.isPredicted || layers.isSwitchingPoint || temporalOf(target) === temporal
        : picture.isKeyFrame;
      if (isStart && !picture.isLate) startsFor |= 1 << target;
    }
    if (!picture.isLate) this.#newest.set(spatial * maxTemporalLayers + temporal, number);
    return { number, spatial, temporal, neededBy, startsFor, references };
  }

  /** The newest frame of the temporal layers below, and where that may be needed of the layer itself. */
  #newestBelow(spatial: number, temporal: number, isSwitchingPoint: boolean): number[] {
    const newestOf = (layer: number) => this.#newest.get(spatial * maxTemporalLayers + layer) ?? unknownFrame;
    if (temporal === 0) return [newestOf(0)];
    let below = unknownFrame;
    for (let layer = 0; layer < temporal; layer++) below = Math.max(below, newestOf(layer));
    return isSwitchingPoint ? [below] : [below, newestOf(temporal)];
  }

  #countPicture({ spatial, temporal }: LayeredFrame): void {
    if (spatial === 0) this.#pictureCounts[temporal]!++;
  }

  #measure({ spatial, neededBy }: LayeredFrame, bytes: number, nowMs: number): void {
    this.#lastMs[spatial] = nowMs;
    // Those of which nothing has come yet are on their way.
    for (let layer = 0; layer < this.spatialLayers; layer++) this.#lastMs[layer] ??= nowMs;
    if (Number.isNaN(this.#sinceMs)) this.#sinceMs = nowMs;
    for (let target = 0; target <= bestTarget; target++)
      if (hasTarget(neededBy, target)) this.#bytes[target]! += bytes;
    const elapsedMs = nowMs - this.#sinceMs;
    if (elapsedMs < rateWindowMs) return;
    this.#sinceMs = nowMs;
    this.#bitratesBps = this.#bytes.map((counted) => Math.round((counted * 8_000) / elapsedMs));
    this.#pictureRates = this.#pictureCounts.map((counted, temporal) => {
      const [before, now] = [this.#pictureRates[temporal]!, (counted * 1_000) / elapsedMs];
      return before > 0 ? (before + now) / 2 : now;
    });
    this.#bytes.fill(0);
    this.#pictureCounts.fill(0);
  }
}

function frameOf(descriptor: DependencyDescriptor, number: number): LayeredFrame {
  const { spatial, temporal, neededBy, startsFor, distances } = descriptor;
  const references = distances.map((distance) => number - distance);
  return { number, spatial, temporal, neededBy, startsFor, references };
}
