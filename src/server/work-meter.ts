import type { PacketMeter } from '../transport/index.js';
import { limits } from './limits.js';
import { RequestBudget } from './request-budget.js';

/**
 * Counts the milliseconds of the server's one thread that one participant causes, whatever it sends: what has used up
 * its budget waits, and packets, which cannot wait, are dropped.
 */
export class WorkMeter implements PacketMeter {
  #now: () => number;
  #budget: RequestBudget;
  /** Packets that are taken although the budget is overdrawn. */
  #packets: RequestBudget;
  #depth = 0;
  /** Until when work was counted. */
  #countedMs = 0;

  constructor(perSecond: number, burst: number, now: () => number = () => performance.now()) {
    this.#now = now;
    this.#budget = new RequestBudget(perSecond, burst, now());
    const { overdrawnPackets } = limits;
    this.#packets = new RequestBudget(overdrawnPackets.value, overdrawnPackets.value, now());
  }

  static forRequests(): WorkMeter {
    const { requestWorkPerSecond, requestWorkBurst } = limits;
    return new WorkMeter(requestWorkPerSecond.value, requestWorkBurst.value);
  }

  static forPackets(now?: () => number): WorkMeter {
    const { packetWorkPerSecond, packetWorkBurst } = limits;
    return new WorkMeter(packetWorkPerSecond.value, packetWorkBurst.value, now);
  }

  /** Runs and counts a piece of work, which may be part of another. */
  run<Value>(act: () => Value): Value {
    this.#begin(this.#now());
    try {
      return act();
    } finally {
      this.end();
    }
  }

  /** Milliseconds until more work may be done; 0 when it may be now. */
  get waitMs(): number {
    return this.#budget.waitMs(this.#now());
  }

  /** Begins the work for a packet, which `end` ends. False when there is to be none. Runs once for every packet. */
  beginPacket(): boolean {
    const nowMs = this.#now();
    if (this.#budget.isOverdrawn(nowMs)) {
      if (this.#packets.waitMs(nowMs) > 0) return false;
      this.#packets.spend(1, nowMs);
    }
    this.#begin(nowMs);
    return true;
  }

  end(): void {
    const nowMs = this.#now();
    this.#budget.spend(nowMs - this.#countedMs, nowMs);
    this.#countedMs = nowMs;
    this.#depth--;
  }

  #begin(nowMs: number): void {
    if (this.#depth++ === 0) this.#countedMs = nowMs;
  }
}
