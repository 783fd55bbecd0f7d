/** One plaintext record as anybody could write it. */
export function plainRecord(type: number, content: Buffer, sequence = 0, epoch = 0): Buffer {
  const record = Buffer.alloc(13 + content.length);
  record[0] = type;
  record.writeUInt16BE(0xfefd, 1);
  record.writeUInt16BE(epoch, 3);
  record.writeUIntBE(sequence, 5, 6);
  record.writeUInt16BE(content.length, 11);
  content.copy(record, 13);
  return record;
}

/** A piece of a handshake message. */
export function piece(
  type: number,
  sequence: number,
  body: Buffer,
  { length = body.length, offset = 0 } = {},
): Buffer {
  const content = Buffer.alloc(12 + body.length);
  content[0] = type;
  content.writeUIntBE(length, 1, 3);
  content.writeUInt16BE(sequence, 4);
  content.writeUIntBE(offset, 6, 3);
  content.writeUIntBE(body.length, 9, 3);
  body.copy(content, 12);
  return content;
}

/** A record of one whole handshake message. */
export const handshakeRecord = (type: number, sequence: number, body: Buffer): Buffer =>
  plainRecord(22, piece(type, sequence, body));

/** The records of a datagram. */
export function recordsOf(datagram: Buffer): Buffer[] {
  const records: Buffer[] = [];
  for (let at = 0; at < datagram.length; ) {
    const end = at + 13 + datagram.readUInt16BE(at + 11);
    records.push(datagram.subarray(at, end));
    at = end;
  }
  return records;
}

export const isProtected = (record: Buffer): boolean => record.readUInt16BE(3) === 1;
