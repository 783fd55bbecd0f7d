import type { Context } from './context.js';
import type { InitOf, RequestCase, RequestOf, ResponseOf } from './messages.js';

/** Answers one request. What it throws becomes the response's error, or the request's. */
export type Handler<Name extends RequestCase> = (
  request: RequestOf<Name>,
  context: Context,
) => InitOf<ResponseOf<Name>>;
