/** A request that is answered with an HTTP status and one line of text. */
export class HttpError extends Error {
  override readonly name = 'HttpError';
  readonly status: number;
  readonly contentType: string;

  constructor(
    status: number,
    message: string,
    { contentType = 'text/plain; charset=utf-8', ...options }: ErrorOptions & { contentType?: string } = {},
  ) {
    super(message, options);
    this.status = status;
    this.contentType = contentType;
  }
}
