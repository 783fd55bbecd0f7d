/** HTTP status of each code of the Twirp protocol that is in use. */
export const twirpStatuses = {
  bad_route: 404,
  malformed: 400,
  invalid_argument: 400,
  unauthenticated: 401,
  not_found: 404,
  failed_precondition: 412,
  unimplemented: 501,
  internal: 500,
} as const;

/** An error as the Twirp protocol has it: a code and a message, as JSON. */
export class TwirpError extends Error {
  override readonly name = 'TwirpError';
  readonly code: keyof typeof twirpStatuses;

  constructor(code: keyof typeof twirpStatuses, message: string) {
    super(message);
    this.code = code;
  }
}
