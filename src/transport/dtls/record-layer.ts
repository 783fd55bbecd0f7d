import { ReplayWindow } from '../replay-window.js';
import { type ContentType, dtls10, dtls12 } from './protocol.js';
import { RecordCipher, type RecordKeys, recordHeaderBytes, writeRecordHeader } from './record-cipher.js';

/** RFC 6347, section 4.1: 2^14 bytes of content, and what protection may add. */
const maxRecordBytes = 16_384 + 2_048;

/** Epoch 0 is plaintext, epoch 1 is protected with the keys of the handshake. There is no other without renegotiation. */
export type Epoch = 0 | 1;

/** Where a record lies in a datagram, and what its header says. Nothing of it is authentic yet. */
export interface RecordView {
  datagram: Buffer;
  at: number;
  end: number;
  type: number;
  epoch: number;
}

/** The next record of a datagram; undefined at its end, or where the rest is no record. */
export function recordAt(datagram: Buffer, at: number): RecordView | undefined {
  if (at + recordHeaderBytes > datagram.length) return undefined;
  const length = uint16At(datagram, at + 11);
  const end = at + recordHeaderBytes + length;
  const version = uint16At(datagram, at + 1);
  if (length > maxRecordBytes || end > datagram.length) return undefined;
  if (version !== dtls12 && version !== dtls10) return undefined;
  return { datagram, at, end, type: datagram[at]!, epoch: uint16At(datagram, at + 3) };
}

const uint16At = (bytes: Buffer, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!;

/** Numbers, protects and checks records of both epochs. */
export class RecordLayer {
  #cipher: RecordCipher | undefined;
  #nextSequence: [number, number] = [0, 0];
  #received = new ReplayWindow();
  /** Records that were forged, damaged or repeated. */
  dropped = 0;

  get hasKeys(): boolean {
    return this.#cipher !== undefined;
  }

  setKeys(keys: RecordKeys): void {
    this.#cipher = new RecordCipher(keys);
  }

  /** A whole record. Each call uses the next sequence number, for repeated content too. */
  seal(type: ContentType, epoch: Epoch, content: Buffer): Buffer {
    const sequence = this.#nextSequence[epoch]++;
    if (epoch === 1) return this.#cipher!.seal(type, epoch, sequence, content);
    const record = Buffer.allocUnsafe(recordHeaderBytes + content.length);
    writeRecordHeader(record, type, epoch, sequence, content.length);
    content.copy(record, recordHeaderBytes);
    return record;
  }

  /**
   * The content of a record of epoch 0, or of an authentic one of epoch 1 that was not received before. There is no
   * replay window for epoch 0: one forged number would keep the genuine ones out, and repeated handshake messages are
   * recognised by their own numbers.
   */
  open({ datagram, at, end, epoch }: RecordView): Buffer | undefined {
    if (epoch === 0) return datagram.subarray(at + recordHeaderBytes, end);
    const sequence = datagram.readUIntBE(at + 5, 6);
    const content = this.#received.isFresh(sequence) ? this.#cipher?.open(datagram, at, end) : undefined;
    if (content === undefined) {
      this.dropped++;
      return undefined;
    }
    this.#received.add(sequence);
    return content;
  }
}
