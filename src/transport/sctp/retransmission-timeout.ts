/**
 * Before the round trip is known. RFC 9260 takes 1 s (3 s before it), for peers that delay acknowledgements by 200 ms;
 * WebRTC peers acknowledge at once what asks for it (RFC 7053), and every last packet of ours does.
 */
const initialMs = 300;
/** Above the stalls of a busy peer and the 20 ms that our own acknowledgements wait at most. */
const minMs = 100;
/** A path that comes back, after a handover between networks, carries data again within this time. */
const maxMs = 2000;
/** What a peer may take to acknowledge a last packet, beyond what the round trips vary by. */
const probeSlackMs = 20;

/** The retransmission timeout (RFC 9260 section 6.3), with bounds that fit calls. */
export class RetransmissionTimeout {
  smoothedMs: number | undefined;
  #variationMs = 0;
  #valueMs = initialMs;

  /** In milliseconds. */
  get valueMs(): number {
    return this.#valueMs;
  }

  /**
   * After how long without an answer the oldest fragment is sent again once, without taking the path for congested
   * (a tail loss probe, RFC 8985 section 7). undefined while that would be no earlier than the timeout.
   */
  get probeMs(): number | undefined {
    if (this.smoothedMs === undefined) return undefined;
    const ms = this.smoothedMs + 4 * this.#variationMs + probeSlackMs;
    return ms < this.#valueMs ? ms : undefined;
  }

  /** Takes the round trip that ICE measured, until there is a sample of our own. */
  seed(roundTripMs: number): void {
    if (this.smoothedMs !== undefined) return;
    // One and a half times the initial value of a first sample: the peer has no reason to be quick before it is up.
    this.#valueMs = clamp(Math.max(2 * minMs, 3 * roundTripMs));
  }

  addSample(roundTripMs: number): void {
    if (this.smoothedMs === undefined) {
      this.smoothedMs = roundTripMs;
      this.#variationMs = roundTripMs / 2;
    } else {
      this.#variationMs += (Math.abs(this.smoothedMs - roundTripMs) - this.#variationMs) / 4;
      this.smoothedMs += (roundTripMs - this.smoothedMs) / 8;
    }
    this.#valueMs = this.#fromSamples(this.smoothedMs);
  }

  /** Something was acknowledged: the path carries data again, whatever the timeout had grown to. */
  resetBackOff(): void {
    if (this.smoothedMs !== undefined) this.#valueMs = this.#fromSamples(this.smoothedMs);
  }

  /** After a timeout: waits twice as long, until something is acknowledged. */
  backOff(): void {
    this.#valueMs = clamp(2 * this.#valueMs);
  }

  #fromSamples(smoothedMs: number): number {
    return clamp(smoothedMs + 4 * this.#variationMs);
  }
}

function clamp(ms: number): number {
  return Math.min(maxMs, Math.max(minMs, ms));
}
