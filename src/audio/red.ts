/** One block of a RED payload (RFC 2198, section 3). */
export interface RedBlock {
  payloadType: number;
  /** How much older than the packet's timestamp this block is, in its units; 0 for the primary block. */
  timestampOffset: number;
  payload: Buffer;
}

const maxOffset = (1 << 14) - 1;
const maxBlockBytes = (1 << 10) - 1;

/** The blocks of a RED payload, oldest first and the primary one last; undefined when it is truncated. */
export function parseRed(payload: Buffer): RedBlock[] | undefined {
  const headers: { payloadType: number; timestampOffset: number; bytes: number }[] = [];
  let at = 0;
  for (;;) {
    if (at >= payload.length) return undefined;
    const first = payload[at]!;
    if ((first & 0x80) === 0) {
      headers.push({ payloadType: first & 0x7f, timestampOffset: 0, bytes: -1 });
      at += 1;
      break;
    }
    if (at + 4 > payload.length) return undefined;
    const rest = payload.readUIntBE(at + 1, 3);
    headers.push({ payloadType: first & 0x7f, timestampOffset: rest >> 10, bytes: rest & maxBlockBytes });
    at += 4;
  }
  const blocks: RedBlock[] = [];
  for (const { payloadType, timestampOffset, bytes } of headers) {
    const end = bytes < 0 ? payload.length : at + bytes;
    if (end > payload.length) return undefined;
    blocks.push({ payloadType, timestampOffset, payload: payload.subarray(at, end) });
    at = end;
  }
  return blocks;
}

/**
 * Builds a RED payload of a primary block and older ones, oldest first. Older blocks that the format cannot hold
 * (1023 bytes, an offset of 16383) are left out.
 */
export function buildRed(
  payloadType: number,
  primary: Uint8Array,
  older: readonly { timestampOffset: number; payload: Uint8Array }[],
): Buffer {
  const fitting = older.filter(
    ({ timestampOffset, payload }) => timestampOffset <= maxOffset && payload.length <= maxBlockBytes,
  );
  const olderBytes = fitting.reduce((sum, { payload }) => sum + 4 + payload.length, 0);
  const red = Buffer.allocUnsafe(olderBytes + 1 + primary.length);
  let at = 0;
  for (const { timestampOffset, payload } of fitting) {
    red[at] = 0x80 | payloadType;
    red.writeUIntBE((timestampOffset << 10) | payload.length, at + 1, 3);
    at += 4;
  }
  red[at++] = payloadType;
  for (const { payload } of fitting) {
    red.set(payload, at);
    at += payload.length;
  }
  red.set(primary, at);
  return red;
}
