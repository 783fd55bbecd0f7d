import { randomBytes } from 'node:crypto';

const alphabet = '23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

/** What a sid names; clients tell kinds apart by these letters. */
type SidPrefix = 'RM' | 'PA' | 'TR' | 'DTR' | 'AW' | 'AJ' | 'AD' | 'ND' | 'ST' | 'SDR' | 'SCL' | 'STR';

/** A new id such as `PA_h3Kw9QpVtNbS`: 12 characters, about 70 bits. */
export function newSid(prefix: SidPrefix): string {
  const letters = [...randomBytes(12)].map((byte) => alphabet[byte % alphabet.length]);
  return `${prefix}_${letters.join('')}`;
}
