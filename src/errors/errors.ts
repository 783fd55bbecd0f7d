import { withoutTokens } from './outside-text.js';
import type { Stage } from './stages.js';

/** Every error code of offhook. They are stable: programs may branch on them; docs/errors.md has a paragraph for each. */
export const errorCodes = [
  'OFFHOOK_INVALID_URL',
  'OFFHOOK_INVALID_TOKEN',
  'OFFHOOK_UNAUTHORIZED',
  'OFFHOOK_UNREACHABLE',
  'OFFHOOK_CERTIFICATE',
  'OFFHOOK_DEADLINE',
  'OFFHOOK_ABORTED',
  'OFFHOOK_PROTOCOL',
  'OFFHOOK_SERVER_REFUSED',
  'OFFHOOK_SERVER_LEFT',
  'OFFHOOK_TRANSPORT',
  'OFFHOOK_INVALID_REQUEST',
  'OFFHOOK_UNKNOWN_HANDLE',
  'OFFHOOK_NOT_SUPPORTED',
  'OFFHOOK_FILTER',
  'OFFHOOK_CLOSED',
  'OFFHOOK_OUT_OF_MEMORY',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

export interface OffhookErrorDetails {
  stage?: Stage;
  /** Host (and port) that the failing step talked to. */
  host?: string;
  elapsedMs?: number;
  /** What the user can do about it, as a sentence. */
  advice?: string;
  cause?: unknown;
}

/** An error that names the stage, the host, how long it took, and what the user can do. */
export class OffhookError extends Error {
  override readonly name = 'OffhookError';
  readonly code: ErrorCode;
  /** What went wrong, without the advice that ends `message`. */
  readonly summary: string;
  readonly stage: Stage | undefined;
  readonly host: string | undefined;
  readonly elapsedMs: number | undefined;
  readonly advice: string | undefined;

  constructor(code: ErrorCode, message: string, details: OffhookErrorDetails = {}) {
    const { cause } = details;
    const text = withoutTokens(message);
    const advice = details.advice === undefined ? undefined : withoutTokens(details.advice);
    const summary = advice ? text.replace(`. ${advice}`, '') : text;
    super(advice ? `${summary}. ${advice}` : summary, cause === undefined ? undefined : { cause });
    this.code = code;
    this.summary = summary;
    this.stage = details.stage;
    this.host = details.host;
    this.elapsedMs = details.elapsedMs;
    this.advice = advice;
  }

  /** One line for logs and FFI error strings: message, stage, host, elapsed, advice, code. */
  toLine(): string {
    const where = [
      this.stage && `stage ${this.stage}`,
      this.host && `host ${this.host}`,
      this.elapsedMs !== undefined && `after ${Math.round(this.elapsedMs)} ms`,
    ].filter(Boolean);
    const context = where.length > 0 ? ` (${where.join(', ')})` : '';
    const advice = this.advice ? ` ${this.advice}` : '';
    return `${this.summary}${context}.${advice} [${this.code}]`;
  }
}

/** The text of anything that was thrown, as one line. */
export function describeError(error: unknown): string {
  if (error instanceof OffhookError) return error.toLine();
  return withoutTokens(error instanceof Error ? error.message : String(error));
}
