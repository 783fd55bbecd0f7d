const polynomial = 0x82f63b78;

/** Table `n` advances a byte by `n` more zero bytes: eight bytes take eight independent look-ups. */
const tables = Array.from({ length: 8 }, () => new Int32Array(256));
for (let byte = 0; byte < 256; byte++) {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ polynomial : value >>> 1;
  tables[0]![byte] = value;
}
for (let n = 1; n < 8; n++)
  for (let byte = 0; byte < 256; byte++) {
    const previous = tables[n - 1]![byte]!;
    tables[n]![byte] = (previous >>> 8) ^ tables[0]![previous & 0xff]!;
  }
const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as [
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
  Int32Array,
];

/** Continues the register `crc` over `bytes` from `start` to `end`, eight bytes at a time. */
function advance(crc: number, bytes: Uint8Array, start: number, end: number): number {
  let register = crc;
  let at = start;
  for (; at + 8 <= end; at += 8) {
    const low =
      register ^ (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24));
    register =
      t7[low & 0xff]! ^
      t6[(low >>> 8) & 0xff]! ^
      t5[(low >>> 16) & 0xff]! ^
      t4[low >>> 24]! ^
      t3[bytes[at + 4]!]! ^
      t2[bytes[at + 5]!]! ^
      t1[bytes[at + 6]!]! ^
      t0[bytes[at + 7]!]!;
  }
  for (; at < end; at++) register = t0[(register ^ bytes[at]!) & 0xff]! ^ (register >>> 8);
  return register;
}

/** CRC-32C (RFC 9260 appendix A) of all bytes. */
export function crc32c(bytes: Uint8Array): number {
  return ~advance(-1, bytes, 0, bytes.length) >>> 0;
}

const zeros = new Uint8Array(4);

/**
 * The checksum of an SCTP packet of at least 12 bytes, whose own field counts as zero. Runs once for each packet each
 * way unless both ends do without it (RFC 9653).
 */
export function packetChecksum(packet: Uint8Array): number {
  let register = advance(-1, packet, 0, 8);
  register = advance(register, zeros, 0, 4);
  return ~advance(register, packet, 12, packet.length) >>> 0;
}
