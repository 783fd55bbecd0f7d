import { isIPv6 } from 'node:net';

/**
 * Families take turns, IPv6 first (RFC 8305 section 4, First Address Family Count 1); within a family the resolver's
 * order stays.
 */
export function pickAddress(waiting: readonly string[], started: readonly string[]): number {
  const last = started.at(-1);
  const wantsIPv6 = last === undefined || !isIPv6(last);
  const index = waiting.findIndex((address) => isIPv6(address) === wantsIPv6);
  return Math.max(index, 0);
}
