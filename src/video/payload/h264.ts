import { evenPieces, type OutgoingFrame, type PayloadFormat, type PayloadPart } from './payload-format.js';

const startCode = Buffer.from([0, 0, 0, 1]);
const typeMask = 0x1f;
const nalType = { slice: 1, idr: 5, sei: 6, sps: 7, pps: 8, delimiter: 9, stapA: 24, fuA: 28 } as const;
const fragmentHeaderBytes = 2;
const aggregateLengthBytes = 2;

/** The NAL units of a frame with start codes of three or four bytes. */
export function splitNalUnits(frame: Buffer): Buffer[] {
  const units: Buffer[] = [];
  let begin = -1;
  for (let at = 0; at + 2 < frame.length; at++) {
    if (frame[at] !== 0 || frame[at + 1] !== 0 || frame[at + 2] !== 1) continue;
    if (begin >= 0) units.push(withoutTrailingZeros(frame, begin, at));
    begin = at + 3;
    at += 2;
  }
  if (begin >= 0 && begin < frame.length) units.push(frame.subarray(begin));
  return units.filter(({ length }) => length > 0);
}

/** The first zero of a start code of four bytes belongs to neither unit. */
function withoutTrailingZeros(frame: Buffer, begin: number, end: number): Buffer {
  let last = end;
  while (last > begin && frame[last - 1] === 0) last--;
  return frame.subarray(begin, last);
}

/** The units that a packet of type STAP-A holds (RFC 6184, section 5.7.1); undefined when their lengths are wrong. */
function splitAggregate(payload: Buffer): Buffer[] | undefined {
  const units: Buffer[] = [];
  let at = 1;
  while (at < payload.length) {
    if (at + aggregateLengthBytes > payload.length) return undefined;
    const length = payload.readUInt16BE(at);
    at += aggregateLengthBytes;
    if (length === 0 || at + length > payload.length) return undefined;
    units.push(payload.subarray(at, at + length));
    at += length;
  }
  return units.length > 0 ? units : undefined;
}

function typeOf(unit: Buffer): number {
  return (unit[0] ?? 0) & typeMask;
}

/** Types of the units that begin in a packet; undefined when it is malformed. */
function beginningTypes(payload: Buffer): number[] | undefined {
  if (payload.length < 2) return undefined;
  const type = typeOf(payload);
  if (type >= 1 && type <= 23) return [type];
  if (type === nalType.stapA) return splitAggregate(payload)?.map(typeOf);
  if (type !== nalType.fuA || payload.length <= fragmentHeaderBytes) return undefined;
  const header = payload[1] ?? 0;
  return header & 0x80 ? [header & typeMask] : [];
}

function packetizeUnit(unit: Buffer, maxBytes: number): Buffer[] {
  if (unit.length <= maxBytes) return [unit];
  const header = unit[0] ?? 0;
  const pieces = evenPieces(unit.subarray(1), maxBytes - fragmentHeaderBytes);
  return pieces.map((piece, index) => {
    const payload = Buffer.allocUnsafe(fragmentHeaderBytes + piece.length);
    payload[0] = (header & ~typeMask) | nalType.fuA;
    payload[1] = (header & typeMask) | (index === 0 ? 0x80 : 0) | (index === pieces.length - 1 ? 0x40 : 0);
    piece.copy(payload, fragmentHeaderBytes);
    return payload;
  });
}

/** H.264 in packetization mode 1 (RFC 6184): single units, STAP-A and FU-A. Frames have start codes of four bytes. */
export const h264: PayloadFormat = {
  packetize({ data }: OutgoingFrame, maxBytes: number): Buffer[] {
    return splitNalUnits(data)
      .filter((unit) => typeOf(unit) !== nalType.delimiter)
      .flatMap((unit) => packetizeUnit(unit, maxBytes));
  },

  /**
   * Start codes of four bytes, and no SEI: the encoder's own has hundreds of bytes, and LiveKit's native engine counts the
   * bytes that stay clear modulo 256.
   */
  forEncryption(data: Buffer): Buffer {
    const units = splitNalUnits(data).filter((unit) => {
      const type = typeOf(unit);
      return type !== nalType.delimiter && type !== nalType.sei;
    });
    return Buffer.concat(units.flatMap((unit) => [startCode, unit]));
  },

  parse(payload: Buffer): PayloadPart | undefined {
    const types = beginningTypes(payload);
    if (!types) return undefined;
    const isFrameStart = types.some((type) => type === nalType.sps || type === nalType.delimiter);
    return { isFrameStart, isKeyFrame: types.includes(nalType.sps) || types.includes(nalType.idr) };
  },

  assemble(payloads: readonly Buffer[]): Buffer | undefined {
    const parts: Buffer[] = [];
    let isInFragment = false;
    for (const payload of payloads) {
      const types = beginningTypes(payload);
      const type = typeOf(payload);
      if (!types || isInFragment !== (type === nalType.fuA && types.length === 0)) return undefined;
      if (type === nalType.fuA) {
        const [indicator = 0, header = 0] = payload;
        if (types.length > 0)
          parts.push(startCode, Buffer.from([(indicator & ~typeMask) | (header & typeMask)]));
        parts.push(payload.subarray(fragmentHeaderBytes));
        isInFragment = (header & 0x40) === 0;
      } else if (type === nalType.stapA) {
        for (const unit of splitAggregate(payload) ?? []) parts.push(startCode, unit);
      } else parts.push(startCode, payload);
    }
    return parts.length > 0 && !isInFragment ? Buffer.concat(parts) : undefined;
  },
};
