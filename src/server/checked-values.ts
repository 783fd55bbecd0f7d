// Reading values that come from outside: what is not of its type or too large is refused, never passed on.
import { limits } from './limits.js';

const int32Max = 2 ** 31 - 1;

/** A decimal integer that fits protobuf's int32; 0 for anything else. */
export function parseInt32(text: string | null): number {
  if (text === null || !/^[+-]?\d{1,10}$/.test(text)) return 0;
  const value = Number(text);
  return value >= -int32Max - 1 && value <= int32Max ? value : 0;
}

/** The number of an enum's member of this name; names that the enum's object inherits are no members. */
export function enumMember(members: object, name: string): number | undefined {
  const value: unknown = Object.hasOwn(members, name)
    ? (members as Record<string, unknown>)[name]
    : undefined;
  return typeof value === 'number' ? value : undefined;
}

/** The numbers that are members of an enum, once each: protobuf passes on any number, and any count of them. */
export function enumValues<Value extends number>(members: object, values: readonly Value[]): Value[] {
  return [...new Set(values)].filter((value) => Object.hasOwn(members, value));
}

/** Whether a value is an object whose every value is text. */
export function isTextRecord(value: unknown): value is Record<string, string> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every((entry) => typeof entry === 'string')
  );
}

type SizedText =
  | 'roomNameBytes'
  | 'identityBytes'
  | 'participantNameBytes'
  | 'metadataBytes'
  | 'trackNameBytes';

/** Whether a text is within its limit, as UTF-8. */
export function isWithin(limit: SizedText, text: string): boolean {
  return Buffer.byteLength(text) <= limits[limit].value;
}

/** Whether attributes are within their limit, keys and values together. */
export function areAttributesWithin(attributes: Readonly<Record<string, string>>): boolean {
  let bytes = 0;
  for (const [key, value] of Object.entries(attributes))
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value);
  return bytes <= limits.attributesBytes.value;
}

/** What of a participant's properties is too large, in LiveKit's words; undefined when nothing is. */
export function oversizedProperty(properties: {
  name: string;
  metadata: string;
  attributes: Readonly<Record<string, string>>;
}): string | undefined {
  if (!isWithin('participantNameBytes', properties.name)) return 'exceeds name length limit';
  if (!isWithin('metadataBytes', properties.metadata)) return 'exceeds metadata size limit';
  if (!areAttributesWithin(properties.attributes)) return 'exceeds attributes size limit';
  return undefined;
}
