import { OffhookError } from '../errors/index.js';
import { limits } from '../limits.js';

/** Default deadlines in milliseconds; every one of them can be set by ConnectOptions. */
export const defaultDeadlinesMs = {
  connect: 15_000,
  candidateUrl: 5_000,
  nextUrlAfter: 300,
  nextAddressAfter: 250,
  url: 3_000,
  dns: 3_000,
  tcp: 3_000,
  tls: 3_000,
  websocket: 5_000,
  join: 5_000,
  ice: 8_000,
  dtls: 8_000,
  data: 15_000,
  filterLoad: 5_000,
  publish: 10_000,
} as const;

export type Deadlines = { -readonly [Name in keyof typeof defaultDeadlinesMs]: number };

/** The environment variable that sets a deadline: `OFFHOOK_CANDIDATE_URL_TIMEOUT_MS`, `OFFHOOK_NEXT_URL_AFTER_MS`. */
export function deadlineVariable(name: keyof Deadlines): string {
  const words = name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
  return words.endsWith('_AFTER') ? `OFFHOOK_${words}_MS` : `OFFHOOK_${words}_TIMEOUT_MS`;
}

function readMs(source: string, value: unknown): number {
  const ms = typeof value === 'string' && value.trim() === '' ? Number.NaN : Number(value);
  if (ms >= 1 && ms <= limits.timer.value) return ms;
  throw new OffhookError(
    'OFFHOOK_INVALID_REQUEST',
    `${source} is ${JSON.stringify(value)}, which is not a deadline`,
    {
      advice: `Give a number of milliseconds from 1 to ${limits.timer.value}.`,
    },
  );
}

/**
 * The deadlines of a connect: what the program asked for, else the environment, else the defaults.
 *
 * @throws OffhookError `OFFHOOK_INVALID_REQUEST` when one of them is not a number of milliseconds
 */
export function resolveDeadlines(
  options: Partial<Deadlines> = {},
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Deadlines {
  const deadlines: Deadlines = { ...defaultDeadlinesMs };
  for (const name of Object.keys(deadlines) as (keyof Deadlines)[]) {
    const variable = deadlineVariable(name);
    const [source, value] =
      options[name] === undefined ? [variable, environment[variable]] : [`deadlines.${name}`, options[name]];
    if (value !== undefined) deadlines[name] = readMs(source, value);
  }
  return deadlines;
}
