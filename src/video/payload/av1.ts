import type { OutgoingFrame, PayloadFormat, PayloadPart } from './payload-format.js';

const obuType = { sequenceHeader: 1, temporalDelimiter: 2, metadata: 5, tileList: 8, padding: 15 } as const;
/** A type of metadata OBU that the specification leaves to applications, and LiveKit uses for its packet trailer. */
const trailerMetadataType = 31;
const hasExtension = 0x04;
const hasSize = 0x02;
const maxLeb128Bytes = 5;
/** The aggregation header: continues an OBU; ends within one; how many there are; begins a coded video sequence. */
const aggregation = { continues: 0x80, unfinished: 0x40, countShift: 4, sequenceStart: 0x08 } as const;

function readLeb128(bytes: Buffer, at: number): { value: number; length: number } | undefined {
  let value = 0;
  for (let length = 1; length <= maxLeb128Bytes; length++) {
    const byte = bytes[at + length - 1];
    if (byte === undefined) return undefined;
    value += (byte & 0x7f) * 2 ** (7 * (length - 1));
    if ((byte & 0x80) === 0) return { value, length };
  }
  return undefined;
}

function leb128(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  do {
    const byte = rest % 128;
    rest = Math.floor(rest / 128);
    bytes.push(rest > 0 ? byte | 0x80 : byte);
  } while (rest > 0);
  return Buffer.from(bytes);
}

function typeOf(obu: Buffer): number {
  return ((obu[0] ?? 0) >> 3) & 0x0f;
}

/** Where an OBU lies in its temporal unit: its header of `headerBytes`, a size field perhaps, its content from `body` on. */
interface ObuPlace {
  begin: number;
  headerBytes: number;
  body: number;
  end: number;
}

/** The OBUs of a temporal unit; undefined when a size is wrong. */
function locateObus(unit: Buffer): ObuPlace[] | undefined {
  const places: ObuPlace[] = [];
  let at = 0;
  while (at < unit.length) {
    const header = unit[at] ?? 0;
    const headerBytes = header & hasExtension ? 2 : 1;
    let body = at + headerBytes;
    let end = unit.length;
    if (header & hasSize) {
      const size = readLeb128(unit, body);
      if (!size) return undefined;
      body += size.length;
      end = body + size.value;
      if (end > unit.length) return undefined;
    }
    places.push({ begin: at, headerBytes, body, end });
    at = end;
  }
  return places;
}

/** The OBUs of a temporal unit without their size fields; undefined when a size is wrong. */
function splitTemporalUnit(unit: Buffer): Buffer[] | undefined {
  return locateObus(unit)?.map(({ begin, headerBytes, body, end }) => {
    const head = Buffer.from(unit.subarray(begin, begin + headerBytes));
    head[0] = (head[0] as number) & ~hasSize;
    return Buffer.concat([head, unit.subarray(body, end)]);
  });
}

/** The temporal unit with `content` in a metadata OBU, which may follow a sequence header but no frame. */
export function insertMetadataObu(unit: Buffer, content: Buffer): Buffer {
  const heads: readonly number[] = [obuType.temporalDelimiter, obuType.sequenceHeader];
  const places = locateObus(unit) ?? [];
  const first = places.find(({ begin }) => !heads.includes(typeOf(unit.subarray(begin))));
  const at = first?.begin ?? 0;
  const obu = withSize(Buffer.concat([Buffer.of(obuType.metadata << 3, trailerMetadataType), content]));
  return Buffer.concat([unit.subarray(0, at), obu, unit.subarray(at)]);
}

/** The temporal unit without the first metadata OBU of the type above that `isWanted` accepts. */
export function takeMetadataObu(unit: Buffer, isWanted: (content: Buffer) => boolean): Buffer {
  const taken = locateObus(unit)?.find(({ begin, body, end }) => {
    if (typeOf(unit.subarray(begin)) !== obuType.metadata) return false;
    const type = readLeb128(unit, body);
    if (type?.value !== trailerMetadataType || body + type.length > end) return false;
    return isWanted(unit.subarray(body + type.length, end));
  });
  return taken ? Buffer.concat([unit.subarray(0, taken.begin), unit.subarray(taken.end)]) : unit;
}

/** The same OBU with a size field, as decoders want it. */
function withSize(obu: Buffer): Buffer {
  const header = obu[0] ?? 0;
  if (header & hasSize) return obu;
  const headerBytes = header & hasExtension ? 2 : 1;
  const head = Buffer.from(obu.subarray(0, headerBytes));
  head[0] = header | hasSize;
  return Buffer.concat([head, leb128(Math.max(0, obu.length - headerBytes)), obu.subarray(headerBytes)]);
}

interface Elements {
  elements: Buffer[];
  continues: boolean;
  unfinished: boolean;
  sequenceStart: boolean;
}

/** The OBU elements of one packet (AV1 RTP payload format, section 4.4). */
function splitPayload(payload: Buffer): Elements | undefined {
  const header = payload[0];
  if (header === undefined || payload.length < 2) return undefined;
  const count = (header >> aggregation.countShift) & 0x03;
  const elements: Buffer[] = [];
  let at = 1;
  while (at < payload.length) {
    const isLast = count > 0 && elements.length === count - 1;
    let end = payload.length;
    if (!isLast) {
      const size = readLeb128(payload, at);
      if (!size) return undefined;
      at += size.length;
      end = at + size.value;
      if (end > payload.length) return undefined;
    }
    elements.push(payload.subarray(at, end));
    at = end;
    if (isLast) break;
  }
  if (elements.length === 0 || (count > 0 && elements.length !== count)) return undefined;
  return {
    elements,
    continues: (header & aggregation.continues) !== 0,
    unfinished: (header & aggregation.unfinished) !== 0,
    sequenceStart: (header & aggregation.sequenceStart) !== 0,
  };
}

function isSent(obu: Buffer): boolean {
  const type = typeOf(obu);
  return type !== obuType.temporalDelimiter && type !== obuType.tileList && type !== obuType.padding;
}

/** Of the size of an element that fits a packet. */
const maxSizeBytes = 2;

/** AV1 (RTP Payload Format For AV1, version 1.0). Frames are temporal units in the low-overhead format. */
export const av1: PayloadFormat = {
  // As many OBUs in a packet as it holds, each behind its size: WebRTC takes what begins a packet as the start of a frame.
  packetize({ data, isKeyFrame }: OutgoingFrame, maxBytes: number): Buffer[] {
    const obus = splitTemporalUnit(data)?.filter(isSent) ?? [];
    const payloads: Buffer[] = [];
    let elements: Buffer[] = [];
    let usedBytes = 1;
    let continues = false;
    const finish = (unfinished: boolean) => {
      let header = 0;
      if (continues) header |= aggregation.continues;
      if (unfinished) header |= aggregation.unfinished;
      if (payloads.length === 0 && isKeyFrame) header |= aggregation.sequenceStart;
      payloads.push(Buffer.concat([Buffer.of(header), ...elements]));
      elements = [];
      usedBytes = 1;
      continues = unfinished;
    };
    for (const obu of obus) {
      for (let at = 0; at < obu.length; ) {
        const room = maxBytes - usedBytes - maxSizeBytes;
        if (room <= 0) {
          finish(at > 0);
          continue;
        }
        const piece = obu.subarray(at, at + room);
        const size = leb128(piece.length);
        elements.push(size, piece);
        usedBytes += size.length + piece.length;
        at += piece.length;
        if (at < obu.length) finish(true);
      }
    }
    if (elements.length > 0) finish(false);
    return payloads;
  },

  parse(payload: Buffer): PayloadPart | undefined {
    const parsed = splitPayload(payload);
    if (!parsed) return undefined;
    const { continues, sequenceStart, elements } = parsed;
    const begins = !continues && typeOf(elements[0] as Buffer) === obuType.sequenceHeader;
    return { isFrameStart: sequenceStart || begins, isKeyFrame: sequenceStart || begins };
  },

  assemble(payloads: readonly Buffer[]): Buffer | undefined {
    const obus: Buffer[] = [];
    let pending: Buffer[] | undefined;
    for (const payload of payloads) {
      const parsed = splitPayload(payload);
      if (!parsed || parsed.continues !== (pending !== undefined)) return undefined;
      for (const [index, element] of parsed.elements.entries()) {
        pending ??= [];
        pending.push(element);
        if (index === parsed.elements.length - 1 && parsed.unfinished) break;
        obus.push(Buffer.concat(pending));
        pending = undefined;
      }
    }
    const whole = obus.filter((obu) => obu.length > 0 && isSent(obu));
    return pending === undefined && whole.length > 0 ? Buffer.concat(whole.map(withSize)) : undefined;
  },
};
