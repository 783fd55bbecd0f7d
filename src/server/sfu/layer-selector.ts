import {
  bestTarget,
  bestWithin,
  hasTarget,
  type LayeredFrame,
  spatialOf,
  temporalOf,
} from './layered-frame.js';

/** Late packets belong to frames that are no older than this, and so do the frames that others refer to. */
const rememberedFrames = 512;

interface Decision {
  frame: number;
  /** What was received when the frame came; undefined when it was left out. */
  target: number | undefined;
}

/**
 * Decides which frames of a stream with several layers one subscriber gets. It goes to other layers with a frame that
 * these can begin with, and whose references were sent. Runs once for every packet to each subscriber.
 */
export class LayerSelector {
  /** The layers to send, as soon as that is possible; where the stream has not as many, the best that it has. */
  target = bestTarget;
  #current: number | undefined;
  #source: number | undefined;
  #decisions: (Decision | undefined)[] = new Array(rememberedFrames);
  /** Time of the picture that has had its last packet: more of it would come behind its marker. */
  #endedTimestamp: number | undefined;
  #isMissingBelow = false;

  /** The layers that are sent; undefined until a frame has come that they can begin with. */
  get current(): number | undefined {
    return this.#current;
  }

  /** Whether only a key frame leads to the layers aimed at. */
  get needsKeyFrame(): boolean {
    if (this.#current === undefined) return true;
    const [spatial, current] = [spatialOf(this.target), spatialOf(this.#current)];
    return spatial > current || (spatial < current && this.#isMissingBelow);
  }

  /** Begins anew: nothing that was sent before may be referred to. */
  reset(): void {
    this.#current = undefined;
    this.#decisions.fill(undefined);
    this.#endedTimestamp = undefined;
  }

  /**
   * Whether a packet is sent on, and whether the subscriber's picture ends with it.
   *
   * @param isEnd whether the packet is the last one of its frame
   */
  select(
    frame: LayeredFrame,
    isEnd: boolean,
    { ssrc, timestamp }: { ssrc: number; timestamp: number },
  ): { endsPicture: boolean } | undefined {
    if (ssrc !== this.#source) this.reset();
    this.#source = ssrc;
    const { target } = this.#decisionOf(frame, timestamp);
    if (target === undefined) return undefined;
    const endsPicture = isEnd && frame.spatial === spatialOf(target);
    if (endsPicture) this.#endedTimestamp = timestamp;
    return { endsPicture };
  }

  #decisionOf(frame: LayeredFrame, timestamp: number): Decision {
    const slot = slotOf(frame.number);
    const known = this.#decisions[slot];
    if (known?.frame === frame.number) return known;
    if (timestamp !== this.#endedTimestamp) this.#switchWith(frame);
    const current = this.#current;
    const isSent = current !== undefined && hasTarget(frame.neededBy, current);
    if (current !== undefined && frame.spatial < spatialOf(current)) {
      if (frame.references.length === 0) this.#isMissingBelow = false;
      if (!isSent && frame.temporal <= temporalOf(current)) this.#isMissingBelow = true;
    }
    const decision = { frame: frame.number, target: isSent ? current : undefined };
    this.#decisions[slot] = decision;
    return decision;
  }

  #switchWith(frame: LayeredFrame): void {
    const next = bestWithin(frame.startsFor, this.target);
    if (next === undefined || next === this.#current || !this.#isNearer(next)) return;
    if (!frame.references.every((reference) => this.#wasSent(reference))) return;
    if (this.#current === undefined || spatialOf(next) !== spatialOf(this.#current))
      this.#isMissingBelow = false;
    this.#current = next;
  }

  /** Whether layers lead from the current ones towards those aimed at. */
  #isNearer(next: number): boolean {
    if (this.#current === undefined) return true;
    const isBetween = (part: (target: number) => number) => {
      const [from, to, at] = [part(this.#current!), part(this.target), part(next)];
      return to > from ? at > from : at === to && at < from;
    };
    if (spatialOf(next) !== spatialOf(this.#current)) return isBetween(spatialOf);
    return isBetween(temporalOf);
  }

  #wasSent(frame: number): boolean {
    const decision = this.#decisions[slotOf(frame)];
    return decision?.frame === frame && decision.target !== undefined;
  }
}

const slotOf = (frame: number) => ((frame % rememberedFrames) + rememberedFrames) % rememberedFrames;
