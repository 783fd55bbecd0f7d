import { BinaryReader, type MessageType, WireType } from '@bufbuild/protobuf';
import { limits } from './limits.js';

/**
 * Whether the parts of a message are few enough for it to be read. An empty one takes two bytes and some microseconds:
 * a message as long as is allowed would hold the one thread for seconds.
 *
 * @throws Error when there are too many, or the bytes are no protobuf.
 */
export function requireFewParts(type: MessageType, bytes: Uint8Array): void {
  // No part is shorter than its tag and its length: most messages need no count.
  if (bytes.length > 2 * limits.messageParts.value) countParts(type, bytes, 0);
}

/** As `requireFewParts`, of JSON: each part begins with a brace. */
export function requireFewBraces(json: Uint8Array): void {
  let braces = 0;
  for (let at = json.indexOf(brace); at >= 0; at = json.indexOf(brace, at + 1)) require(++braces);
}

const brace = '{'.charCodeAt(0);

function countParts(type: MessageType, bytes: Uint8Array, before: number): number {
  const reader = new BinaryReader(bytes);
  let count = before;
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    const field = type.fields.find(number);
    if (field?.kind !== 'message' || wireType !== WireType.LengthDelimited) {
      // The entries of a map are parts too, of two values each.
      if (field?.kind === 'map') require(++count);
      reader.skip(wireType);
      continue;
    }
    require(++count);
    count = countParts(field.T, reader.bytes(), count);
  }
  return count;
}

function require(parts: number): void {
  const { value: most } = limits.messageParts;
  if (parts > most) throw new Error(`the message has more than ${most} parts`);
}
