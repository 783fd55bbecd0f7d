// What the micro-benchmarks measure with.
const rounds = 7;

/** The median of some rounds, each after one that does not count. `act(count)` returns milliseconds; the result is µs. */
export function measure(count, act) {
  act(count);
  const perUnit = Array.from({ length: rounds }, () => act(count) / count).sort((a, b) => a - b);
  return perUnit[rounds >> 1] * 1_000;
}

/** CPU time in milliseconds, which what else the machine does leaves nearly alone. */
export function timed(act) {
  const start = process.cpuUsage();
  act();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1_000;
}
