import type { TransportFeedback } from './transport-feedback.js';

interface SentPacket {
  sequenceNumber: number;
  bytes: number;
  sentMs: number;
}

/** Packets that left together, and came together. */
interface Burst {
  firstSentMs: number;
  lastSentMs: number;
  lastArrivalMs: number;
}

export interface BandwidthEstimatorOptions {
  startBps: number;
  minBps: number;
  maxBps: number;
}

/** As many packets as may be on the way: a second at 45 Mbit/s. A power of two. */
const historyPackets = 4_096;
const burstMs = 5;
const trendBursts = 20;
const trendSmoothing = 0.9;
/** What makes of a slope a delay that is compared with the threshold: Carlucci et al., "Analysis and Design of GCC". */
const trendGain = 4;
const maxTrendDeltas = 60;
const thresholdUp = 0.0087;
const thresholdDown = 0.039;
const overuseMs = 40;
/** Queues that stay: with the first the estimate does not grow, with the second it falls until they are empty. */
const standingQueueMs = 50;
const longQueueMs = 100;
const shortestDelayMs = 15_000;
const rateWindowMs = 500;
const lossWindowMs = 500;
const minLossPackets = 20;
const heavyLoss = 0.1;
const lightLoss = 0.02;
const decreaseIntervalMs = 300;
const decrease = 0.85;
/** With less of the estimate than this the path is not filled by what is sent here. */
const fillingShare = 0.6;
/** Growth in a second: until the path was once found full, and afterwards. */
const searchGrowth = 1.6;
const carefulGrowth = 1.08;
/** After this long without a full path, its capacity is searched for again. */
const searchAgainMs = 10_000;

/**
 * How much a path carries, by the trend of the delay and by loss of the packets on it, as Google's congestion control has it
 * (draft-ietf-rmcat-gcc-02). Pure: packets that were sent, reports and time in, a bit rate out.
 */
export class BandwidthEstimator {
  #options: BandwidthEstimatorOptions;
  #bitrateBps: number;
  #sent: (SentPacket | undefined)[] = new Array(historyPackets);
  /** What was sent since a moment, and in the window before. */
  #windowMs = 0;
  #windowBytes = 0;
  #windowBefore = { bytes: 0, ms: 0 };
  /** The two ends have different clocks: a delay means nothing, only how it changes. */
  #shortestMs = Number.POSITIVE_INFINITY;
  #shortestBeforeMs = Number.POSITIVE_INFINITY;
  #shortestSinceMs = Number.NEGATIVE_INFINITY;
  #queueMs = 0;
  #burst: Burst | undefined;
  #previous: Burst | undefined;
  #accumulatedMs = 0;
  #smoothedMs = 0;
  #deltas = 0;
  #points: { atMs: number; delayMs: number }[] = [];
  #firstArrivalMs: number | undefined;
  #lastTrend = 0;
  #thresholdMs = 12.5;
  #thresholdAtMs: number | undefined;
  #overSinceMs: number | undefined;
  #usage: 'normal' | 'over' | 'under' = 'normal';
  /** Bytes that arrived, by the receiver's clock. */
  #arrived: { atMs: number; bytes: number }[] = [];
  #arrivedBytes = 0;
  #lossSinceMs: number | undefined;
  #reported = 0;
  #lost = 0;
  #lossFraction = 0;
  #decreasedMs = Number.NEGATIVE_INFINITY;
  #wasFull = false;
  #updatedMs: number | undefined;

  constructor(options: BandwidthEstimatorOptions) {
    this.#options = options;
    this.#bitrateBps = options.startBps;
  }

  get bitrateBps(): number {
    return this.#bitrateBps;
  }

  /** Of the last half second that was reported on, 0 to 1. */
  get lossFraction(): number {
    return this.#lossFraction;
  }

  /** Runs once for every numbered packet. */
  sent(sequenceNumber: number, bytes: number, nowMs: number): void {
    this.#sent[sequenceNumber % historyPackets] = { sequenceNumber, bytes, sentMs: nowMs };
    if (nowMs - this.#windowMs > rateWindowMs) {
      this.#windowBefore = { bytes: this.#windowBytes, ms: nowMs - this.#windowMs };
      this.#windowMs = nowMs;
      this.#windowBytes = 0;
    }
    this.#windowBytes += bytes;
  }

  feedback({ baseSequenceNumber, arrivalsMs }: TransportFeedback, nowMs: number): void {
    this.#usage = this.#usage === 'under' ? 'normal' : this.#usage;
    let delayMs = Number.POSITIVE_INFINITY;
    for (const [index, arrivalMs] of arrivalsMs.entries()) {
      const sequenceNumber = (baseSequenceNumber + index) & 0xffff;
      const slot = sequenceNumber % historyPackets;
      const packet = this.#sent[slot];
      if (packet?.sequenceNumber !== sequenceNumber) continue;
      // Each packet counts once, however often it is reported.
      this.#sent[slot] = undefined;
      this.#reported++;
      if (arrivalMs === undefined) this.#lost++;
      else {
        this.#arrive(packet, arrivalMs);
        delayMs = Math.min(delayMs, arrivalMs - packet.sentMs);
      }
    }
    if (delayMs < Number.POSITIVE_INFINITY) this.#updateQueue(delayMs, nowMs);
    this.#updateLoss(nowMs);
    this.#updateRate(nowMs);
  }

  /** The path was not full for a while: it may carry more than it was given. */
  isSearching(nowMs: number): boolean {
    return !this.#wasFull || nowMs - this.#decreasedMs > searchAgainMs;
  }

  /** What the receiver got lately. */
  get receivedBps(): number {
    const first = this.#arrived[0];
    const last = this.#arrived.at(-1);
    if (!first || !last) return 0;
    const spanMs = Math.max(rateWindowMs / 2, last.atMs - first.atMs);
    return (this.#arrivedBytes * 8_000) / spanMs;
  }

  #sentBps(nowMs: number): number {
    const { bytes, ms } = this.#windowBefore;
    const elapsedMs = ms + nowMs - this.#windowMs;
    return elapsedMs > 0 ? ((bytes + this.#windowBytes) * 8_000) / elapsedMs : 0;
  }

  #arrive({ bytes, sentMs }: SentPacket, arrivalMs: number): void {
    this.#arrived.push({ atMs: arrivalMs, bytes });
    this.#arrivedBytes += bytes;
    while (this.#arrived[0] && this.#arrived[0].atMs < arrivalMs - rateWindowMs) {
      this.#arrivedBytes -= this.#arrived.shift()!.bytes;
    }
    const burst = this.#burst;
    if (burst && sentMs - burst.firstSentMs <= burstMs && sentMs >= burst.firstSentMs) {
      burst.lastSentMs = Math.max(burst.lastSentMs, sentMs);
      burst.lastArrivalMs = Math.max(burst.lastArrivalMs, arrivalMs);
      return;
    }
    // An older packet, sent again or come late, says nothing of the queue.
    if (burst && sentMs < burst.firstSentMs) return;
    if (burst && this.#previous) this.#compare(this.#previous, burst);
    this.#previous = burst;
    this.#burst = { firstSentMs: sentMs, lastSentMs: sentMs, lastArrivalMs: arrivalMs };
  }

  #compare(before: Burst, after: Burst): void {
    const sendMs = after.lastSentMs - before.lastSentMs;
    const arriveMs = after.lastArrivalMs - before.lastArrivalMs;
    this.#deltas = Math.min(maxTrendDeltas, this.#deltas + 1);
    this.#accumulatedMs += arriveMs - sendMs;
    this.#smoothedMs = trendSmoothing * this.#smoothedMs + (1 - trendSmoothing) * this.#accumulatedMs;
    this.#firstArrivalMs ??= after.lastArrivalMs;
    this.#points.push({ atMs: after.lastArrivalMs - this.#firstArrivalMs, delayMs: this.#smoothedMs });
    if (this.#points.length > trendBursts) this.#points.shift();
    if (this.#points.length < trendBursts) return;
    this.#detect(slopeOf(this.#points), sendMs, after.lastArrivalMs);
  }

  #detect(slope: number, sendMs: number, atMs: number): void {
    const trend = this.#deltas * slope * trendGain;
    if (trend > this.#thresholdMs) {
      this.#overSinceMs ??= atMs - sendMs;
      if (atMs - this.#overSinceMs > overuseMs && trend >= this.#lastTrend) this.#usage = 'over';
    } else {
      this.#overSinceMs = undefined;
      this.#usage = trend < -this.#thresholdMs ? 'under' : 'normal';
    }
    this.#lastTrend = trend;
    this.#adaptThreshold(trend, atMs);
  }

  /** So that other traffic, which fills queues, does not starve this one. */
  #adaptThreshold(trend: number, atMs: number): void {
    const size = Math.abs(trend);
    const elapsedMs = Math.min(100, atMs - (this.#thresholdAtMs ?? atMs));
    this.#thresholdAtMs = atMs;
    if (size > this.#thresholdMs + 15) return;
    const gain = size < this.#thresholdMs ? thresholdDown : thresholdUp;
    const next = this.#thresholdMs + gain * (size - this.#thresholdMs) * elapsedMs;
    this.#thresholdMs = Math.min(600, Math.max(6, next));
  }

  /** How much longer packets take than the fastest of the last while: the trend does not see a queue that stays. */
  #updateQueue(delayMs: number, nowMs: number): void {
    if (nowMs - this.#shortestSinceMs > shortestDelayMs) {
      this.#shortestBeforeMs = this.#shortestMs;
      this.#shortestMs = delayMs;
      this.#shortestSinceMs = nowMs;
    }
    this.#shortestMs = Math.min(this.#shortestMs, delayMs);
    this.#queueMs = delayMs - Math.min(this.#shortestMs, this.#shortestBeforeMs);
  }

  #updateLoss(nowMs: number): void {
    this.#lossSinceMs ??= nowMs;
    if (nowMs - this.#lossSinceMs < lossWindowMs || this.#reported < minLossPackets) return;
    this.#lossFraction = this.#lost / this.#reported;
    this.#lossSinceMs = nowMs;
    this.#reported = 0;
    this.#lost = 0;
    if (this.#lossFraction > heavyLoss)
      this.#decrease(this.#bitrateBps * (1 - this.#lossFraction / 2), nowMs);
  }

  #updateRate(nowMs: number): void {
    const elapsedS = Math.min(1, (nowMs - (this.#updatedMs ?? nowMs)) / 1_000);
    this.#updatedMs = nowMs;
    if (this.#usage === 'over' || this.#queueMs > longQueueMs) {
      if (nowMs - this.#decreasedMs > decreaseIntervalMs) {
        // A delay that others cause, or a machine that is busy, says little of what the path carries.
        const isFilling = this.#sentBps(nowMs) > fillingShare * this.#bitrateBps;
        const carriedBps = isFilling ? this.receivedBps : this.#bitrateBps;
        this.#decrease(Math.min(this.#bitrateBps, decrease * carriedBps), nowMs);
      }
      return;
    }
    const isFree = this.#usage === 'normal' && this.#queueMs < standingQueueMs;
    if (!isFree || this.#lossFraction > lightLoss) return;
    const growth = this.isSearching(nowMs) ? searchGrowth : carefulGrowth;
    const grown = this.#bitrateBps * growth ** elapsedS;
    // What was never sent was never shown to fit.
    const shown = Math.max(this.#bitrateBps, 1.5 * this.receivedBps + 10_000);
    this.#set(Math.min(grown, shown));
  }

  #decrease(bitrateBps: number, nowMs: number): void {
    this.#wasFull = true;
    this.#decreasedMs = nowMs;
    this.#set(bitrateBps);
  }

  #set(bitrateBps: number): void {
    const { minBps, maxBps } = this.#options;
    this.#bitrateBps = Math.round(Math.max(minBps, Math.min(maxBps, bitrateBps)));
  }
}

/** Of the line that fits the points best; 0 where they are all at one time. */
function slopeOf(points: readonly { atMs: number; delayMs: number }[]): number {
  const meanX = points.reduce((sum, { atMs }) => sum + atMs, 0) / points.length;
  const meanY = points.reduce((sum, { delayMs }) => sum + delayMs, 0) / points.length;
  let numerator = 0;
  let denominator = 0;
  for (const { atMs, delayMs } of points) {
    numerator += (atMs - meanX) * (delayMs - meanY);
    denominator += (atMs - meanX) ** 2;
  }
  return denominator === 0 ? 0 : numerator / denominator;
}
