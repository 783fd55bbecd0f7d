import { createCipheriv, createDecipheriv } from 'node:crypto';
import { type ContentType, dtls12 } from './protocol.js';

export const recordHeaderBytes = 13;
const explicitNonceBytes = 8;
const tagBytes = 16;
/** What a protected record has in addition to its header and content. */
export const recordOverheadBytes = explicitNonceBytes + tagBytes;

export interface RecordKeys {
  writeKey: Buffer;
  /** The implicit part of the nonce: 4 bytes. */
  writeSalt: Buffer;
  readKey: Buffer;
  readSalt: Buffer;
}

/**
 * AES-128-GCM for records (RFC 5288, RFC 6347, section 4.1.2.1). Runs once for each record of application data: the
 * nonce and the additional data are written into buffers that are kept, byte by byte, which for so few is faster than
 * a call of `copy`.
 */
export class RecordCipher {
  #writeKey: Buffer;
  #readKey: Buffer;
  #writeNonce: Buffer;
  #readNonce: Buffer;
  /** Epoch and sequence number, type, version, length of the content. */
  #additional = Buffer.alloc(recordHeaderBytes);

  constructor({ writeKey, writeSalt, readKey, readSalt }: RecordKeys) {
    this.#writeKey = writeKey;
    this.#readKey = readKey;
    this.#writeNonce = Buffer.concat([writeSalt, Buffer.alloc(explicitNonceBytes)]);
    this.#readNonce = Buffer.concat([readSalt, Buffer.alloc(explicitNonceBytes)]);
  }

  /** A whole record: header, explicit nonce, ciphertext, tag. */
  seal(type: ContentType, epoch: number, sequence: number, content: Buffer): Buffer {
    const record = Buffer.allocUnsafe(recordHeaderBytes + recordOverheadBytes + content.length);
    writeRecordHeader(record, type, epoch, sequence, recordOverheadBytes + content.length);
    for (let index = 0; index < explicitNonceBytes; index++) {
      const byte = record[3 + index]!;
      record[recordHeaderBytes + index] = byte;
      this.#writeNonce[4 + index] = byte;
    }
    this.#setAdditional(record, 0, content.length);
    const cipher = createCipheriv('aes-128-gcm', this.#writeKey, this.#writeNonce);
    cipher.setAAD(this.#additional);
    cipher.update(content).copy(record, recordHeaderBytes + explicitNonceBytes);
    cipher.final();
    cipher.getAuthTag().copy(record, record.length - tagBytes);
    return record;
  }

  /** The content of the record that lies in `datagram` from `at` to `end`; undefined when it is not authentic. */
  open(datagram: Buffer, at: number, end: number): Buffer | undefined {
    const content = at + recordHeaderBytes + explicitNonceBytes;
    const tag = end - tagBytes;
    if (tag < content) return undefined;
    for (let index = 0; index < explicitNonceBytes; index++) {
      this.#readNonce[4 + index] = datagram[at + recordHeaderBytes + index]!;
    }
    this.#setAdditional(datagram, at, tag - content);
    const decipher = createDecipheriv('aes-128-gcm', this.#readKey, this.#readNonce);
    decipher.setAAD(this.#additional);
    decipher.setAuthTag(datagram.subarray(tag, end));
    const plain = decipher.update(datagram.subarray(content, tag));
    try {
      decipher.final();
    } catch {
      return undefined;
    }
    return plain;
  }

  #setAdditional(record: Buffer, at: number, contentBytes: number): void {
    const additional = this.#additional;
    for (let index = 0; index < 8; index++) additional[index] = record[at + 3 + index]!;
    for (let index = 0; index < 3; index++) additional[8 + index] = record[at + index]!;
    additional[11] = contentBytes >> 8;
    additional[12] = contentBytes & 0xff;
  }
}

export function writeRecordHeader(
  record: Buffer,
  type: ContentType,
  epoch: number,
  sequence: number,
  length: number,
): void {
  record[0] = type;
  record.writeUInt16BE(dtls12, 1);
  record.writeUInt16BE(epoch, 3);
  record.writeUIntBE(sequence, 5, 6);
  record.writeUInt16BE(length, 11);
}
