import { targetOf } from './layered-frame.js';

/** A frame of a template, or one with indications of its own: which decode targets need it and can begin with it. */
interface FrameTemplate {
  spatial: number;
  temporal: number;
  /** Decode target indications, by decode target. */
  indications: readonly number[];
  /** How many frames before it are those that it refers to. */
  distances: readonly number[];
}

/** What key frames say of all frames until the next one (template dependency structure). */
export interface DependencyStructure {
  templateIdOffset: number;
  templates: readonly FrameTemplate[];
  chains: number;
  /** The layers of each decode target, as `targetOf` numbers them. */
  targets: readonly number[];
  /** By spatial layer; empty where they are not given. */
  sizes: readonly { width: number; height: number }[];
}

/** A dependency descriptor (RTP Payload Format For AV1, version 1.0, appendix A). */
export interface DependencyDescriptor {
  isFrameStart: boolean;
  isFrameEnd: boolean;
  /** 16 bits. */
  frameNumber: number;
  spatial: number;
  temporal: number;
  /** The layers (bits as `targetOf` numbers them) whose receivers need the frame. */
  neededBy: number;
  /** Those of them that can be received from this frame on. */
  startsFor: number;
  distances: readonly number[];
  /** New with this packet. */
  structure: DependencyStructure | undefined;
  /** The decode targets that are sent, where the packet says so: one bit for each. */
  activeTargets: number | undefined;
  /** Where the bits of `activeTargets` are, or would be. */
  activeTargetsAt: number;
}

const mandatoryBytes = 3;
const templateIds = 64;
const maxLayer = 7;
const indication = { notPresent: 0, switch: 2 } as const;
const nextLayer = { temporal: 1, spatial: 2, end: 3 } as const;

/** Reads bits, the highest of a byte first. What is read beyond the end is zero, and `isOver` then. */
class BitReader {
  at = 0;
  #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isOver(): boolean {
    return this.at > this.#bytes.length * 8;
  }

  read(bits: number): number {
    let value = 0;
    for (let bit = 0; bit < bits; bit++, this.at++) {
      value = (value << 1) | (((this.#bytes[this.at >> 3] ?? 0) >> (7 - (this.at & 7))) & 1);
    }
    return value >>> 0;
  }

  flag(): boolean {
    return this.read(1) === 1;
  }

  /** A number below `count`, in as few bits as that takes (`ns(n)`). */
  below(count: number): number {
    const bits = 32 - Math.clz32(count);
    const short = (1 << bits) - count;
    const value = this.read(bits - 1);
    return value < short ? value : (value << 1) - short + this.read(1);
  }
}

function readLayers(bits: BitReader): { spatial: number; temporal: number }[] | undefined {
  const layers: { spatial: number; temporal: number }[] = [];
  let [spatial, temporal] = [0, 0];
  while (layers.length < templateIds) {
    layers.push({ spatial, temporal });
    const next = bits.read(2);
    if (next === nextLayer.end) return layers;
    if (next === nextLayer.temporal) temporal++;
    if (next === nextLayer.spatial) {
      temporal = 0;
      spatial++;
    }
    if (temporal > maxLayer || spatial > maxLayer || bits.isOver) return undefined;
  }
  return undefined;
}

function readStructure(bits: BitReader): DependencyStructure | undefined {
  const templateIdOffset = bits.read(6);
  const targetCount = bits.read(5) + 1;
  const layers = readLayers(bits);
  if (!layers) return undefined;
  const indications = layers.map(() => Array.from({ length: targetCount }, () => bits.read(2)));
  const distances = layers.map(() => {
    const found: number[] = [];
    while (bits.flag()) found.push(bits.read(4) + 1);
    return found;
  });
  const chains = bits.below(targetCount + 1);
  // Which targets a chain protects, and how far back its frames are, is what receivers want to know of losses.
  if (chains > 0) {
    for (let target = 0; target < targetCount; target++) bits.below(chains);
    bits.at += layers.length * chains * 4;
  }
  const sizes: { width: number; height: number }[] = [];
  if (bits.flag()) {
    const spatialLayers = layers.at(-1)!.spatial + 1;
    for (let layer = 0; layer < spatialLayers; layer++)
      sizes.push({ width: bits.read(16) + 1, height: bits.read(16) + 1 });
  }
  if (bits.isOver) return undefined;
  const templates = layers.map((layer, index) => ({
    ...layer,
    indications: indications[index]!,
    distances: distances[index]!,
  }));
  const targets = Array.from({ length: targetCount }, (_, target) => {
    const ofTarget = templates.filter((template) => template.indications[target] !== indication.notPresent);
    const highest = (of: 'spatial' | 'temporal') => Math.max(0, ...ofTarget.map((template) => template[of]));
    return targetOf(highest('spatial'), highest('temporal'));
  });
  return { templateIdOffset, templates, chains, targets, sizes };
}

/**
 * Reads the descriptor of a packet; once for each packet of a track. Undefined where it is malformed, and before the
 * structure is known that it refers to.
 *
 * @param known the structure of the last descriptor that had one
 */
export function parseDependencyDescriptor(
  bytes: Buffer,
  known: DependencyStructure | undefined,
): DependencyDescriptor | undefined {
  if (bytes.length < mandatoryBytes) return undefined;
  const bits = new BitReader(bytes);
  const isFrameStart = bits.flag();
  const isFrameEnd = bits.flag();
  const templateId = bits.read(6);
  const frameNumber = bits.read(16);
  const isExtended = bytes.length > mandatoryBytes;
  const hasStructure = isExtended && bits.flag();
  const hasActiveTargets = isExtended && bits.flag();
  const hasIndications = isExtended && bits.flag();
  const hasDistances = isExtended && bits.flag();
  const hasChains = isExtended && bits.flag();
  const structure = hasStructure ? readStructure(bits) : undefined;
  const valid = hasStructure ? structure : known;
  if (!valid) return undefined;
  const targetCount = valid.targets.length;
  const activeTargetsAt = bits.at;
  const activeTargets = hasActiveTargets ? bits.read(targetCount) : undefined;
  const template = valid.templates[(templateId + templateIds - valid.templateIdOffset) % templateIds];
  if (!template) return undefined;
  const indications = hasIndications
    ? Array.from({ length: targetCount }, () => bits.read(2))
    : template.indications;
  const distances = hasDistances ? readDistances(bits) : template.distances;
  if (hasChains) bits.at += valid.chains * 8;
  if (bits.isOver) return undefined;
  let neededBy = 0;
  let startsFor = 0;
  for (let target = 0; target < targetCount; target++) {
    const bit = 1 << valid.targets[target]!;
    if (indications[target] !== indication.notPresent) neededBy |= bit;
    if (indications[target] === indication.switch) startsFor |= bit;
  }
  const { spatial, temporal } = template;
  const layers = { spatial, temporal, neededBy, startsFor, distances };
  const frame = { isFrameStart, isFrameEnd, frameNumber, ...layers };
  return { ...frame, structure, activeTargets, activeTargetsAt };
}

function readDistances(bits: BitReader): number[] {
  const found: number[] = [];
  for (let size = bits.read(2); size > 0 && !bits.isOver; size = bits.read(2))
    found.push(bits.read(4 * size) + 1);
  return found;
}
