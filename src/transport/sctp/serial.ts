/** Serial number arithmetic (RFC 1982): numbers that begin again at 0 are compared by the shorter way around. */

/** Whether the transmission sequence number `a` comes before `b`. */
export function tsnBefore(a: number, b: number): boolean {
  return ((a - b) | 0) < 0;
}

/** How many numbers `to` is after `from`; negative when it is before. */
export function tsnDistance(from: number, to: number): number {
  return (to - from) | 0;
}

export function tsnPlus(tsn: number, count: number): number {
  return (tsn + count) >>> 0;
}

/** Whether the stream sequence number `a` comes before `b`. */
export function ssnBefore(a: number, b: number): boolean {
  return ((a - b) << 16) >> 16 < 0;
}
