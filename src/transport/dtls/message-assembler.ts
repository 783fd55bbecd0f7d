import { limits } from '../../limits.js';
import { handshakeType } from './protocol.js';
import type { Epoch } from './record-layer.js';

export const handshakeHeaderBytes = 12;

/** One whole handshake message of the peer. */
export interface HandshakeMessage {
  type: number;
  sequence: number;
  /** Of the record that its last piece came in. */
  epoch: Epoch;
  /** Header and body, as if it had come in one piece: what the transcript holds. */
  raw: Buffer;
  body: Buffer;
}

export function writeHandshakeHeader(
  target: Buffer,
  type: number,
  length: number,
  sequence: number,
  offset: number,
  fragmentLength: number,
): void {
  target[0] = type;
  target.writeUIntBE(length, 1, 3);
  target.writeUInt16BE(sequence, 4);
  target.writeUIntBE(offset, 6, 3);
  target.writeUIntBE(fragmentLength, 9, 3);
}

/** A message of which some pieces are here. Of two that contradict each other the later counts. */
interface Assembly {
  type: number;
  epoch: Epoch;
  raw: Buffer;
  /** Which bytes of the body are here: disjoint ranges in ascending order. */
  pieces: [start: number, end: number][];
}

/** What became of a record of handshake messages. */
export type Arrival =
  | 'new'
  /** Messages that our last flight answers: the peer sends them again because it did not get it. */
  | 'repeated'
  | 'dropped';

/** Puts the peer's handshake messages together, and in order (RFC 6347, section 4.2.3). Memory is bounded by `limits`. */
export class MessageAssembler {
  #assemblies = new Map<number, Assembly>();
  #bytes = 0;
  #nextSequence = 0;
  #answeredSequence = 0;

  /** Takes the content of one handshake record, which may hold several pieces. */
  add(content: Buffer, epoch: Epoch): Arrival {
    let arrival: Arrival = 'dropped';
    for (let at = 0; at + handshakeHeaderBytes <= content.length; ) {
      const end = at + handshakeHeaderBytes + content.readUIntBE(at + 9, 3);
      if (end > content.length) break;
      const piece = this.#addPiece(content.subarray(at, end), epoch);
      if (piece === 'new' || arrival === 'dropped') arrival = piece;
      at = end;
    }
    return arrival;
  }

  /** The message that is next in order, once it is whole. It stays until `accept` or `reject`. */
  next(): HandshakeMessage | undefined {
    const assembly = this.#assemblies.get(this.#nextSequence);
    if (assembly === undefined) return undefined;
    const { type, epoch, raw, pieces } = assembly;
    const body = raw.subarray(handshakeHeaderBytes);
    const isWhole =
      body.length === 0 || (pieces.length === 1 && pieces[0]![1] - pieces[0]![0] === body.length);
    return isWhole ? { type, epoch, raw, body, sequence: this.#nextSequence } : undefined;
  }

  accept(): void {
    this.#delete(this.#nextSequence++);
  }

  /** Forgets the message that is next: the peer may send another one with its number. */
  reject(): void {
    this.#delete(this.#nextSequence);
  }

  /** A flight goes out that answers all that was accepted so far. */
  answer(): void {
    this.#answeredSequence = this.#nextSequence;
  }

  #addPiece(piece: Buffer, epoch: Epoch): Arrival {
    const type = piece[0]!;
    const length = piece.readUIntBE(1, 3);
    const sequence = piece.readUInt16BE(4);
    const offset = piece.readUIntBE(6, 3);
    const body = piece.subarray(handshakeHeaderBytes);
    if (sequence < this.#nextSequence) return sequence < this.#answeredSequence ? 'repeated' : 'dropped';
    if (length > limits.dtlsMessageBytes.value || offset + body.length > length) return 'dropped';
    if (sequence >= this.#nextSequence + limits.dtlsMessagesAhead.value) return 'dropped';
    if (body.length === 0 && length > 0) return 'dropped';
    // Only this message is protected, and no other comes after it.
    if ((type === handshakeType.finished) !== (epoch === 1)) return 'dropped';

    const assembly = this.#assemblyFor(sequence, type, length, epoch);
    if (assembly === undefined) return 'dropped';
    body.copy(assembly.raw, handshakeHeaderBytes + offset);
    assembly.pieces = withRange(assembly.pieces, offset, offset + body.length);
    return 'new';
  }

  #assemblyFor(sequence: number, type: number, length: number, epoch: Epoch): Assembly | undefined {
    const known = this.#assemblies.get(sequence);
    if (known !== undefined) {
      // What is protected does not give way to what is not.
      if (known.epoch > epoch) return undefined;
      const sameMessage = known.type === type && known.epoch === epoch;
      const sameLength = known.raw.length === handshakeHeaderBytes + length;
      if (sameMessage && sameLength && known.pieces.length < limits.dtlsPieces.value) return known;
      this.#delete(sequence);
    }
    const isNext = sequence === this.#nextSequence;
    if (!isNext && this.#bytes + length > limits.dtlsAssemblyBytes.value - limits.dtlsMessageBytes.value)
      return undefined;
    const raw = Buffer.alloc(handshakeHeaderBytes + length);
    writeHandshakeHeader(raw, type, length, sequence, 0, length);
    const assembly: Assembly = { type, epoch, raw, pieces: [] };
    this.#assemblies.set(sequence, assembly);
    this.#bytes += length;
    return assembly;
  }

  #delete(sequence: number): void {
    const assembly = this.#assemblies.get(sequence);
    if (assembly === undefined) return;
    this.#bytes -= assembly.raw.length - handshakeHeaderBytes;
    this.#assemblies.delete(sequence);
  }
}

/** The ranges with one more, joined where they touch. */
function withRange(ranges: [number, number][], start: number, end: number): [number, number][] {
  const apart = ranges.filter(([from, to]) => to < start || from > end);
  const touching = ranges.filter(([from, to]) => to >= start && from <= end);
  const joined: [number, number] = [
    Math.min(start, ...touching.map(([from]) => from)),
    Math.max(end, ...touching.map(([, to]) => to)),
  ];
  return [...apart, joined].sort(([a], [b]) => a - b);
}
