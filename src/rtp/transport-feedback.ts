import { limits } from '../limits.js';
import { Unwrapper } from './unwrap.js';

/** Which packets of a transport arrived when (draft-holmer-rmcat-transport-wide-cc-extensions-01, section 3.1). */
export interface TransportFeedback {
  type: 'transportFeedback';
  senderSsrc: number;
  mediaSsrc: number;
  /** Of the first packet, 16 bits. */
  baseSequenceNumber: number;
  /** Counts these reports, 8 bits. */
  feedbackCount: number;
  /** For each packet from the first on: milliseconds on the receiver's clock, undefined where it has not come. */
  arrivalsMs: (number | undefined)[];
}

export const transportFeedbackFormat = 15;
const transportFeedbackType = 205;
const headerBytes = 20;
const referenceTimeMs = 64;
const deltaMs = 0.25;
const status = { lost: 0, small: 1, large: 2 } as const;
const maxRun = 0x1fff;

/** The body of an RTCP packet of type 205, format 15; undefined where it is malformed or claims too many packets. */
export function parseTransportFeedback(packet: Buffer): TransportFeedback | undefined {
  if (packet.length < headerBytes) return undefined;
  const count = packet.readUInt16BE(14);
  if (count > limits.feedbackPackets.value) return undefined;
  const statuses = parseStatuses(packet, count);
  return statuses && parseArrivals(packet, statuses);
}

/** The status of each packet; undefined where there are fewer than `count`. */
function parseStatuses(packet: Buffer, count: number): { statuses: number[]; end: number } | undefined {
  const statuses: number[] = [];
  let at = headerBytes;
  while (statuses.length < count) {
    if (at + 2 > packet.length) return undefined;
    const chunk = packet.readUInt16BE(at);
    at += 2;
    const isRun = (chunk & 0x8000) === 0;
    const isTwoBits = (chunk & 0x4000) !== 0;
    const symbols = isRun ? chunk & maxRun : isTwoBits ? 7 : 14;
    // An empty run would never end.
    if (symbols === 0) return undefined;
    for (let i = 0; i < symbols && statuses.length < count; i++) {
      if (isRun) statuses.push((chunk >> 13) & 3);
      else statuses.push(isTwoBits ? (chunk >> (12 - 2 * i)) & 3 : (chunk >> (13 - i)) & 1);
    }
  }
  return { statuses, end: at };
}

function parseArrivals(
  packet: Buffer,
  { statuses, end }: { statuses: readonly number[]; end: number },
): TransportFeedback | undefined {
  let at = end;
  const arrivalsMs: (number | undefined)[] = [];
  let timeMs = packet.readIntBE(16, 3) * referenceTimeMs;
  for (const symbol of statuses) {
    if (symbol === status.lost) {
      arrivalsMs.push(undefined);
      continue;
    }
    const bytes = symbol === status.small ? 1 : 2;
    if (symbol > status.large || at + bytes > packet.length) return undefined;
    timeMs += (bytes === 1 ? packet[at]! : packet.readInt16BE(at)) * deltaMs;
    at += bytes;
    arrivalsMs.push(timeMs);
  }
  return {
    type: 'transportFeedback',
    senderSsrc: packet.readUInt32BE(4),
    mediaSsrc: packet.readUInt32BE(8),
    baseSequenceNumber: packet.readUInt16BE(12),
    feedbackCount: packet[19]!,
    arrivalsMs,
  };
}

/** Arrivals must follow each other within 8 s; `TransportFeedbackRecorder` sees to that. */
export function buildTransportFeedback(feedback: Omit<TransportFeedback, 'type'>): Buffer {
  const { senderSsrc, mediaSsrc, baseSequenceNumber, feedbackCount, arrivalsMs } = feedback;
  const first = arrivalsMs.find((arrival) => arrival !== undefined) ?? 0;
  const reference = Math.floor(first / referenceTimeMs);
  let units = reference * (referenceTimeMs / deltaMs);
  const symbols: number[] = [];
  const deltas: number[] = [];
  for (const arrival of arrivalsMs) {
    if (arrival === undefined) {
      symbols.push(status.lost);
      continue;
    }
    const delta = Math.max(-0x8000, Math.min(0x7fff, Math.round(arrival / deltaMs) - units));
    units += delta;
    const isSmall = delta >= 0 && delta <= 0xff;
    symbols.push(isSmall ? status.small : status.large);
    if (isSmall) deltas.push(delta);
    else deltas.push((delta >> 8) & 0xff, delta & 0xff);
  }
  const chunks = chunksOf(symbols);
  const bytes = (headerBytes + 2 * chunks.length + deltas.length + 3) & ~3;
  const packet = Buffer.alloc(bytes);
  packet[0] = 0x80 | transportFeedbackFormat;
  packet[1] = transportFeedbackType;
  packet.writeUInt16BE(bytes / 4 - 1, 2);
  packet.writeUInt32BE(senderSsrc, 4);
  packet.writeUInt32BE(mediaSsrc, 8);
  packet.writeUInt16BE(baseSequenceNumber, 12);
  packet.writeUInt16BE(arrivalsMs.length, 14);
  packet.writeUIntBE(reference & 0xff_ffff, 16, 3);
  packet[19] = feedbackCount & 0xff;
  chunks.forEach((chunk, i) => {
    packet.writeUInt16BE(chunk, headerBytes + 2 * i);
  });
  packet.set(deltas, headerBytes + 2 * chunks.length);
  return packet;
}

/** Runs of one status, and seven statuses of two bits where they differ. */
function chunksOf(symbols: readonly number[]): number[] {
  const chunks: number[] = [];
  for (let at = 0; at < symbols.length; ) {
    const symbol = symbols[at]!;
    let run = 1;
    while (run < maxRun && symbols[at + run] === symbol) run++;
    if (run >= 7 || at + run === symbols.length) {
      chunks.push((symbol << 13) | run);
      at += run;
      continue;
    }
    let chunk = 0xc000;
    for (let i = 0; i < 7; i++) chunk |= (symbols[at + i] ?? 0) << (12 - 2 * i);
    chunks.push(chunk);
    at += 7;
  }
  return chunks;
}

const feedbackIntervalMs = 100;

/** Remembers when the numbered packets of a transport came, for the reports to their sender. */
export class TransportFeedbackRecorder {
  #ssrc: number;
  #sequences = new Unwrapper(16);
  #arrivals = new Map<number, number>();
  /** The first packet of the next report. */
  #next: number | undefined;
  #highest = 0;
  #mediaSsrc = 0;
  #count = 0;
  #dueMs = Number.NEGATIVE_INFINITY;

  /** @param ssrc of the receiver, which sends the reports */
  constructor(ssrc: number) {
    this.#ssrc = ssrc;
  }

  /** Runs once for every numbered packet. Returns the report when one is due. */
  received(number: Buffer | undefined, mediaSsrc: number, nowMs: number): Buffer | undefined {
    if (number?.length !== 2) return undefined;
    const sequence = this.#sequences.unwrap(number.readUInt16BE(0));
    this.#mediaSsrc = mediaSsrc;
    const { value: most } = limits.feedbackPackets;
    const isJump = this.#next !== undefined && Math.abs(sequence - this.#next) >= most;
    if (isJump) this.#arrivals.clear();
    if (this.#next === undefined || isJump) {
      this.#next = sequence;
      this.#highest = sequence;
    }
    // One that came after its report is reported no more.
    if (sequence >= this.#next) this.#arrivals.set(sequence, nowMs);
    this.#highest = Math.max(this.#highest, sequence);
    return nowMs >= this.#dueMs ? this.#report(nowMs) : undefined;
  }

  #report(nowMs: number): Buffer | undefined {
    const first = this.#next;
    if (first === undefined || this.#arrivals.size === 0) return undefined;
    this.#dueMs = nowMs + feedbackIntervalMs;
    const arrivalsMs: (number | undefined)[] = [];
    for (let sequence = first; sequence <= this.#highest; sequence++) {
      const arrival = this.#arrivals.get(sequence);
      // What came 8 s apart does not fit into one report.
      arrivalsMs.push(arrival !== undefined && nowMs - arrival < 7_000 ? arrival : undefined);
    }
    this.#arrivals.clear();
    this.#next = this.#highest + 1;
    return buildTransportFeedback({
      senderSsrc: this.#ssrc,
      mediaSsrc: this.#mediaSsrc,
      baseSequenceNumber: first & 0xffff,
      feedbackCount: this.#count++ & 0xff,
      arrivalsMs,
    });
  }
}
