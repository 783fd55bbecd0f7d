/** HTTP status of each code of the Twirp protocol that is in use. */
export const twirpStatuses = {
  bad_route: 404,
  malformed: 400,
  invalid_argument: 400,
  unauthenticated: 401,
  permission_denied: 403,
  canceled: 408,
  deadline_exceeded: 408,
  resource_exhausted: 429,
  not_found: 404,
  failed_precondition: 412,
  unimplemented: 501,
  internal: 500,
  unknown: 500,
  unavailable: 503,
} as const;

export type TwirpErrorCode = keyof typeof twirpStatuses;

/** An error as the Twirp protocol has it: a code and a message, as JSON. */
export class TwirpError extends Error {
  override readonly name = 'TwirpError';
  readonly code: TwirpErrorCode;
  readonly meta: Readonly<Record<string, string>> | undefined;

  /** @param meta what programs may branch on besides the code */
  constructor(code: TwirpErrorCode, message: string, meta?: Readonly<Record<string, string>>) {
    super(message);
    this.code = code;
    this.meta = meta;
  }
}
