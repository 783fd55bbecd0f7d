const contentType = { changeCipherSpec: 20, alert: 21, handshake: 22, applicationData: 23 } as const;
const recordHeaderBytes = 13;
const firstRetryMs = 100;
const rttsBeforeRetry = 1.5;
const retryGrowth = 1.5;
const maxRetryMs = 1_000;
/** How long after the handshake what SCTP begins with is sent again, which it does itself only after a second. */
const associationMs = 4_000;
/** An answer that has not come by then is not to come: the other side may have nothing to say. */
const maxRetriesAfterHandshake = 8;
const maxFlightPackets = 16;

/** DTLS and what it carries, by the first byte (RFC 7983). */
export const isDtls = (packet: Buffer): boolean => packet[0]! >= 20 && packet[0]! < 64;

/**
 * Sends the last flight of a DTLS handshake again while no answer comes, sooner than the one second after which the
 * addon's OpenSSL does (RFC 6347, section 4.2.4), and holds what is to be sent while there is no path. Pure: packets and
 * time are passed in.
 *
 * A record that is sent twice would be taken for a replay, and not be answered. Those of the handshake are numbered anew,
 * which nothing protects before the keys change; later ones are of use only where they were lost.
 */
export class DtlsFlights {
  #send: (packet: Buffer) => boolean;
  /** What was sent since the other side was heard last. */
  #flight: Buffer[] = [];
  #answered = true;
  /** Something of it has left. */
  #sent = false;
  #retries = 0;
  #nextMs = Number.POSITIVE_INFINITY;
  #retryMs = firstRetryMs;
  #sequence = 0;
  #handshakeDoneMs: number | undefined;

  /** @param send to the other side; false where there is no way yet */
  constructor(send: (packet: Buffer) => boolean) {
    this.#send = send;
  }

  /** A packet of the addon's for the other side: sent, and kept until it is answered. */
  outgoing(packet: Buffer, nowMs: number, rttMs: number | undefined): void {
    if (packet[0] === contentType.applicationData) this.#handshakeDoneMs ??= nowMs;
    if (packet[0] !== contentType.alert && this.#isKept(nowMs)) {
      this.#keep(packet, nowMs, rttMs);
    }
    if (this.#send(this.#renumbered(packet))) this.#sent = true;
  }

  /** A packet of the other side's. */
  incoming(packet: Buffer): void {
    if (this.#handshakeDoneMs !== undefined && packet[0] === contentType.applicationData) {
      this.#answered = true;
      this.#stop();
    } else if (packet[0] === contentType.handshake || packet[0] === contentType.changeCipherSpec) {
      // Part of an answer may be missing: the flight is sent again until the addon has the next one.
      this.#answered = true;
    }
  }

  /** There is a path now, or another one: what waits is sent. */
  pathFound(nowMs: number, rttMs: number | undefined): void {
    if (this.#flight.length === 0 || this.#sent) return;
    this.#begin(nowMs, rttMs);
    this.#sendFlight();
  }

  /** Sends what is due; returns how long until the next is. */
  tick(nowMs: number): number {
    if (nowMs >= this.#nextMs) {
      if (!this.#isKept(nowMs)) this.#stop();
      else this.#retry(nowMs);
    }
    return this.#nextMs - nowMs;
  }

  #isKept(nowMs: number): boolean {
    return this.#handshakeDoneMs === undefined || nowMs - this.#handshakeDoneMs < associationMs;
  }

  #keep(packet: Buffer, nowMs: number, rttMs: number | undefined): void {
    if (this.#answered || this.#flight.length >= maxFlightPackets) {
      this.#flight = [];
      this.#answered = false;
      this.#sent = false;
      this.#begin(nowMs, rttMs);
    }
    this.#flight.push(packet);
  }

  #begin(nowMs: number, rttMs: number | undefined): void {
    this.#retries = 0;
    this.#retryMs = Math.min(maxRetryMs, Math.max(firstRetryMs, rttsBeforeRetry * (rttMs ?? 0)));
    this.#nextMs = nowMs + this.#retryMs;
  }

  #retry(nowMs: number): void {
    this.#retries++;
    if (this.#handshakeDoneMs !== undefined && this.#retries > maxRetriesAfterHandshake) {
      this.#stop();
      return;
    }
    this.#retryMs = Math.min(maxRetryMs, this.#retryMs * retryGrowth);
    this.#nextMs = nowMs + this.#retryMs;
    this.#sendFlight();
  }

  #sendFlight(): void {
    for (const packet of this.#flight) if (this.#send(this.#renumbered(packet))) this.#sent = true;
  }

  #stop(): void {
    this.#flight = [];
    this.#nextMs = Number.POSITIVE_INFINITY;
  }

  /** The packet with the next numbers in its records of epoch 0. */
  #renumbered(packet: Buffer): Buffer {
    let copy: Buffer | undefined;
    for (let at = 0; at + recordHeaderBytes <= packet.length; ) {
      if (packet.readUInt16BE(at + 3) === 0) {
        copy ??= Buffer.from(packet);
        copy.writeUIntBE(this.#sequence++, at + 5, 6);
      }
      at += recordHeaderBytes + packet.readUInt16BE(at + 11);
    }
    return copy ?? packet;
  }
}
