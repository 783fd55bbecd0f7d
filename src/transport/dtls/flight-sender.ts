import type { Flight, FlightMessage } from './handshake.js';
import { handshakeHeaderBytes, writeHandshakeHeader } from './message-assembler.js';
import { contentType } from './protocol.js';
import { recordHeaderBytes, recordOverheadBytes } from './record-cipher.js';
import type { RecordLayer } from './record-layer.js';

const minRetransmitMs = 100;
/** A flight has a kilobyte or two: sending it often costs little, waiting costs the call. */
const maxRetransmitMs = 400;
const roundTripsBeforeRetransmit = 1.5;
/** From then on the flight goes out in datagrams that every path carries: the large ones may be what gets lost. */
const retransmitsBeforeSmallDatagrams = 3;
const smallDatagramBytes = 548;
/** A datagram is filled up with part of the next message if at least this much of it fits. */
const minPieceBytes = 64;

/**
 * Sends a flight, and sends it again until it is answered: after 1.5 round trips but at least 100 ms, then after twice
 * that time and so on, up to 400 ms or two round trips; and at once when the peer repeats its own flight, which it
 * does when ours was lost (RFC 6347, section 4.2.4). Each time the records get new numbers: the peer takes a record with
 * an old one for a replay.
 */
export class FlightSender {
  #records: RecordLayer;
  #onDatagram: (datagram: Buffer) => void;
  #mtuBytes: number;
  #flight: Flight | undefined;
  #sentMs = 0;
  #retransmits = 0;
  #waitMs = minRetransmitMs;
  #roundTripMs: number | undefined;
  /** When the flight is due again; undefined while nothing is waited for. */
  nextTimeoutMs: number | undefined;

  constructor(records: RecordLayer, mtuBytes: number, onDatagram: (datagram: Buffer) => void) {
    this.#records = records;
    this.#mtuBytes = mtuBytes;
    this.#onDatagram = onDatagram;
  }

  setRoundTripMs(roundTripMs: number): void {
    this.#roundTripMs = roundTripMs;
  }

  send(flight: Flight, nowMs: number): void {
    // Without a measurement of the path, one from a flight that was not sent twice (Karn's algorithm).
    if (this.#flight !== undefined && this.#retransmits === 0) this.#roundTripMs ??= nowMs - this.#sentMs;
    this.#flight = flight;
    this.#retransmits = 0;
    this.#waitMs = this.#firstWaitMs();
    this.#transmit(nowMs);
  }

  /** Nothing more is expected of the peer. */
  stop(): void {
    this.#flight = undefined;
    this.nextTimeoutMs = undefined;
  }

  /** The peer sent again what this flight answers. */
  repeat(nowMs: number): void {
    // Its flight has several packets, and each of them comes here; or ours is still on its way.
    if (this.#flight === undefined || nowMs - this.#sentMs < this.#firstWaitMs() / 4) return;
    this.#retransmits++;
    this.#transmit(nowMs);
  }

  handleTimeout(nowMs: number): void {
    if (this.nextTimeoutMs === undefined || nowMs < this.nextTimeoutMs) return;
    this.#retransmits++;
    this.#waitMs = Math.min(2 * this.#waitMs, Math.max(maxRetransmitMs, 2 * (this.#roundTripMs ?? 0)));
    this.#transmit(nowMs);
  }

  #firstWaitMs(): number {
    return Math.max(minRetransmitMs, roundTripsBeforeRetransmit * (this.#roundTripMs ?? 0));
  }

  #transmit(nowMs: number): void {
    const flight = this.#flight!;
    this.#sentMs = nowMs;
    this.nextTimeoutMs = flight.isLast ? undefined : nowMs + this.#waitMs;
    const datagrams = this.#pack(flight.messages, this.#maxBytes(flight));
    for (const datagram of datagrams) this.#onDatagram(datagram);
  }

  #maxBytes({ messages, isSplitWhenRepeated }: Flight): number {
    if (isSplitWhenRepeated && this.#retransmits % 2 === 1) {
      const contentBytes = messages[0]!.content.length;
      return recordHeaderBytes + handshakeHeaderBytes + Math.ceil(contentBytes / 2);
    }
    const areSmall = this.#retransmits >= retransmitsBeforeSmallDatagrams;
    return areSmall ? Math.min(smallDatagramBytes, this.#mtuBytes) : this.#mtuBytes;
  }

  /** The messages as records in datagrams of at most `maxBytes`. */
  #pack(messages: readonly FlightMessage[], maxBytes: number): Buffer[] {
    const datagrams: Buffer[][] = [[]];
    let room = maxBytes;
    for (const message of messages) {
      const overheadBytes = recordHeaderBytes + (message.epoch === 1 ? recordOverheadBytes : 0);
      for (let sent = 0, isWhole = false; !isWhole; ) {
        const left = message.content.length - sent;
        if (room < maxBytes && room - overheadBytes - handshakeHeaderBytes < Math.min(left, minPieceBytes)) {
          datagrams.push([]);
          room = maxBytes;
        }
        const content = nextPiece(message, sent, room - overheadBytes);
        const record = this.#records.seal(message.contentType, message.epoch, content.piece);
        datagrams.at(-1)!.push(record);
        room -= record.length;
        sent = content.sent;
        isWhole = sent >= message.content.length;
      }
    }
    return datagrams.map((records) => (records.length === 1 ? records[0]! : Buffer.concat(records)));
  }
}

/** As much of a message from `sent` on as `roomBytes` take, with a header of its own. */
function nextPiece(
  { contentType: type, content }: FlightMessage,
  sent: number,
  roomBytes: number,
): { piece: Buffer; sent: number } {
  if (type !== contentType.handshake || (sent === 0 && content.length <= roomBytes)) {
    return { piece: content, sent: content.length };
  }
  const start = Math.max(sent, handshakeHeaderBytes);
  const bytes = Math.min(roomBytes - handshakeHeaderBytes, content.length - start);
  const piece = Buffer.allocUnsafe(handshakeHeaderBytes + bytes);
  const bodyBytes = content.length - handshakeHeaderBytes;
  const offset = start - handshakeHeaderBytes;
  writeHandshakeHeader(piece, content[0]!, bodyBytes, content.readUInt16BE(4), offset, bytes);
  content.copy(piece, handshakeHeaderBytes, start, start + bytes);
  return { piece, sent: start + bytes };
}
