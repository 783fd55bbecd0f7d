/**
 * What a file in `targets/` exports by default.
 *
 * @typedef {object} Target
 * @property {string} about what it feeds, in one line
 * @property {(input: Buffer) => void | Promise<void>} run throws only what is a finding
 * @property {number} [maxBytes] longest input
 * @property {number} [maxGrowthBytes] what one input may allocate
 * @property {() => Buffer[]} [seeds] inputs to begin with, beside those in `corpus/NAME/`
 * @property {(string | number)[]} [words] what inputs are made of, beside the literals of the code
 * @property {(input: Buffer, context: object) => Buffer} [mutate] changes that know the structure
 * @property {(input: Buffer) => Iterable<Buffer>} [shorten] shorter inputs to try in place of one that is kept
 * @property {() => Promise<void>} [setUp] before the first input
 * @property {() => Promise<void>} [tearDown] after the last one
 */

export const limits = {
  inputBytes: 4096,
  /** An input that takes longer is a finding. */
  inputMs: 1_000,
  /** One input that allocates more is a finding. */
  growthBytes: 64 * 1024 * 1024,
  /** What all inputs together may leave behind. */
  keptBytes: 32 * 1024 * 1024,
};

export const findingExitCode = 77;

/** Passes over errors of `types`, with which the code refuses an input as it should; others are findings. */
export function refusesWith(types, act) {
  try {
    return act();
  } catch (error) {
    if (types.some((type) => error instanceof type)) return undefined;
    throw error;
  }
}

/** A property that holds for every input. */
export function check(holds, what) {
  if (!holds) throw new Error(`does not hold: ${what}`);
}
