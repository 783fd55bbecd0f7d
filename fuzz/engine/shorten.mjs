// Shorter versions of an input, the shortest first.

/** Without one range of its bytes: a half, a quarter, down to a sixteenth. */
export function* withoutRanges(bytes) {
  for (let parts = 2; parts <= 16 && parts <= bytes.length; parts *= 2) {
    for (let part = parts - 1; part >= 0; part--) {
      const from = Math.floor((bytes.length * part) / parts);
      const to = Math.floor((bytes.length * (part + 1)) / parts);
      yield Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)]);
    }
  }
}
