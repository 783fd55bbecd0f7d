const most = 2n ** 63n - 1n;

/** A number from the network as the int64 or uint64 of a message; one that is too large becomes the largest int64. */
export function toInt64(value: number): bigint {
  const whole = BigInt(Math.round(value));
  if (whole > most) return most;
  return whole < -most ? -most : whole;
}
