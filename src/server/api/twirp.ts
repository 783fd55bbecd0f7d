import type { Message, MessageType } from '@bufbuild/protobuf';
import { createLogger, describeError } from '../../timeline/index.js';
import type { Access } from '../access-token.js';
import type { HttpReply, HttpRequest } from '../http-router.js';

const log = createLogger('server/api');

const statusOf = {
  bad_route: 404,
  malformed: 400,
  invalid_argument: 400,
  unauthenticated: 401,
  not_found: 404,
  failed_precondition: 412,
  internal: 500,
} as const;

/** An error as the Twirp protocol has it: a code and a message, as JSON. */
export class TwirpError extends Error {
  override readonly name = 'TwirpError';
  readonly code: keyof typeof statusOf;

  constructor(code: keyof typeof statusOf, message: string) {
    super(message);
    this.code = code;
  }
}

/** One method: how to read its request, and what it does. */
export interface TwirpMethod {
  request: MessageType;
  handle: (request: never, access: Access | undefined) => Message;
}

/** Types a method's handler by its request class. */
export function method<Request extends Message<Request>>(
  request: MessageType<Request>,
  handle: (request: Request, access: Access | undefined) => Message,
): TwirpMethod {
  return { request, handle: handle as TwirpMethod['handle'] };
}

/** Answers `POST …/Method` of one service, with JSON or protobuf as the request has it. */
export function answerTwirp(
  methods: Readonly<Record<string, TwirpMethod>>,
  { method: verb, path, headers, body }: HttpRequest,
  access: Access | undefined,
): HttpReply {
  try {
    const name = path.slice(path.lastIndexOf('/') + 1);
    const called = Object.hasOwn(methods, name) ? methods[name] : undefined;
    if (!called || verb !== 'POST') throw new TwirpError('bad_route', `no handler for ${verb} ${path}`);
    const isJson = (headers['content-type'] ?? '').startsWith('application/json');
    const response = called.handle(readRequest(called.request, body, isJson) as never, access);
    return isJson
      ? { contentType: 'application/json', body: response.toJsonString() }
      : { contentType: 'application/protobuf', body: response.toBinary() };
  } catch (error) {
    return errorReply(error);
  }
}

function readRequest(type: MessageType, body: Buffer, isJson: boolean): Message {
  try {
    if (!isJson) return type.fromBinary(body);
    return type.fromJsonString(body.toString() || '{}', { ignoreUnknownFields: true });
  } catch (error) {
    throw new TwirpError('malformed', `the request could not be decoded: ${describeError(error)}`);
  }
}

function errorReply(error: unknown): HttpReply {
  const isKnown = error instanceof TwirpError;
  if (!isKnown) log.error(describeError(error));
  const code = isKnown ? error.code : 'internal';
  const body = JSON.stringify({ code, msg: isKnown ? error.message : 'internal error' });
  return { status: statusOf[code], contentType: 'application/json', body };
}
