import { describeError, OffhookError } from './errors.js';

/*
 * Arguments are checked where they enter, so that a mistake is an error with a name and not silence. Every function
 * throws OffhookError `OFFHOOK_INVALID_REQUEST`.
 */

/** For a value of which the other functions cannot say what is expected. */
export function refuse(what: string, value: unknown, expected: string): never {
  const shown = typeof value === 'string' ? JSON.stringify(value) : describe(value);
  throw new OffhookError('OFFHOOK_INVALID_REQUEST', `${what} is ${shown}`, { advice: `Give ${expected}.` });
}

function describe(value: unknown): string {
  if (value === null || typeof value !== 'object') return String(value);
  return `of type ${value.constructor?.name ?? 'object'}`;
}

export function checkText(what: string, value: unknown): string {
  return typeof value === 'string' ? value : refuse(what, value, 'text');
}

/** Text of at least one character. */
export function checkName(what: string, value: unknown): string {
  return typeof value === 'string' && value !== '' ? value : refuse(what, value, 'text that is not empty');
}

export function checkBytes(what: string, value: unknown): Uint8Array {
  return value instanceof Uint8Array
    ? value
    : refuse(what, value, 'a Uint8Array; of text, `new TextEncoder().encode(text)`');
}

export function checkInteger(what: string, value: unknown, from: number, to: number): number {
  const isFine = typeof value === 'number' && Number.isInteger(value) && value >= from && value <= to;
  return isFine ? value : refuse(what, value, `a whole number from ${from} to ${to}`);
}

/** A finite number of at least `from`. */
export function checkNumberFrom(what: string, value: unknown, from: number): number {
  const isFine = typeof value === 'number' && Number.isFinite(value) && value >= from;
  return isFine ? value : refuse(what, value, `a number from ${from}`);
}

export function checkFlag(what: string, value: unknown): boolean {
  return typeof value === 'boolean' ? value : refuse(what, value, 'true or false');
}

export function checkFunction(what: string, value: unknown): void {
  if (typeof value !== 'function') refuse(what, value, 'a function');
}

/** Undefined is fine. */
export function checkSignal(value: unknown): void {
  if (value !== undefined && !(value instanceof AbortSignal)) refuse('signal', value, 'an AbortSignal');
}

export function checkOneOf<const Value extends string>(
  what: string,
  value: unknown,
  allowed: readonly Value[],
): Value {
  return allowed.includes(value as Value)
    ? (value as Value)
    : refuse(what, value, `one of ${allowed.join(', ')}`);
}

export function checkTextRecord(what: string, value: unknown): Record<string, string> {
  const isRecord = typeof value === 'object' && value !== null && !Array.isArray(value);
  if (!isRecord) refuse(what, value, 'an object of texts');
  for (const [name, text] of Object.entries(value as object)) checkText(`${what}.${name}`, text);
  return value as Record<string, string>;
}

export function checkList(what: string, value: unknown, ofWhat = 'objects'): readonly unknown[] {
  return Array.isArray(value) ? value : refuse(what, value, `a list of ${ofWhat}`);
}

export function checkTexts(what: string, value: unknown): string[] {
  return checkList(what, value, 'texts').map((text) => checkText(`an item of ${what}`, text));
}

/** An object of one of our classes, or of JavaScript's. */
export function checkInstance<Instance>(
  what: string,
  value: unknown,
  Class: abstract new (...args: never[]) => Instance,
): Instance {
  const article = /^[AEIOU]/.test(Class.name) ? 'an' : 'a';
  return value instanceof Class ? value : refuse(what, value, `${article} ${Class.name}`);
}

/** An object whose properties are checked one by one. */
export function checkObject(what: string, value: unknown): void {
  if (typeof value !== 'object' || value === null) refuse(what, value, 'an object');
}

/** The value as JSON text; empty when it is undefined. */
export function checkJson(what: string, value: unknown): string {
  try {
    return value === undefined ? '' : (JSON.stringify(value) ?? refuse(what, value, 'what JSON can hold'));
  } catch (error) {
    throw new OffhookError(
      'OFFHOOK_INVALID_REQUEST',
      `${what} cannot be written as JSON: ${describeError(error)}`,
    );
  }
}

/** An object with no other properties than those: a misspelt option would have no effect otherwise. */
export function checkOptions(what: string, value: unknown, allowed: readonly string[]): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    refuse(what, value, 'an object of options');
  const unknown = Object.keys(value).find((name) => !allowed.includes(name));
  if (unknown === undefined) return;
  throw new OffhookError('OFFHOOK_INVALID_REQUEST', `${what}: there is no option "${unknown}"`, {
    advice: `The options are ${allowed.join(', ')}.`,
  });
}
