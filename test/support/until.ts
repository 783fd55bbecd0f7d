/** How long a test waits for what must come, when it does not say. Long: a busy machine is no failure. */
export const patienceMs = 15_000;

export interface UntilOptions {
  timeoutMs?: number;
  /** What was there in place of what was awaited, for the error. */
  seen?: () => unknown;
  everyMs?: number;
}

/**
 * Looks until there is something, and resolves with it. Fails with what was missing, and with what there was instead.
 *
 * @param what is awaited, as in "no … within 15000 ms"
 * @param look returns undefined, null or false while it is not there
 */
export async function until<Value>(
  what: string,
  look: () => Value | undefined | null | false | Promise<Value | undefined | null | false>,
  { timeoutMs = patienceMs, seen, everyMs = 5 }: UntilOptions = {},
): Promise<Value> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const value = await look();
    if (value !== undefined && value !== null && value !== false) return value;
    if (performance.now() > deadlineMs) throw missing(what, timeoutMs, seen);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

/**
 * Resolves with `work`, or fails with what was missing.
 *
 * @param what as for `until`
 */
export async function within<Value>(
  what: string,
  work: Promise<Value>,
  { timeoutMs = patienceMs, seen }: UntilOptions = {},
): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(missing(what, timeoutMs, seen)), timeoutMs);
  });
  return Promise.race([work, tooLate]).finally(() => clearTimeout(timer));
}

function missing(what: string, timeoutMs: number, seen: UntilOptions['seen']): Error {
  const instead = seen ? `; there was: ${describe(seen())}` : '';
  return new Error(`no ${what} within ${timeoutMs} ms${instead}`);
}

function describe(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text === undefined || text === '' || text === '[]' ? 'nothing' : text.slice(0, 2_000);
}
