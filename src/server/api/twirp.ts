import type { Message, MessageType } from '@bufbuild/protobuf';
import { describeError } from '../../errors/index.js';
import { createLogger } from '../../logging/index.js';
import type { Access } from '../access-token.js';
import { HttpError } from '../http-error.js';
import { type HttpReply, type HttpRequest, type PostHandler, tokenOf } from '../http-router.js';
import { requireFewBraces, requireFewParts } from '../message-bound.js';
import type { CallPace } from './call-pace.js';
import { requireCaller, requireGrant } from './grants.js';
import { TwirpError, twirpStatuses } from './twirp-error.js';

const log = createLogger('server/api');

/** One method: how to read its request, and what it does. Who may call it stands in `methodGrants`. */
export interface TwirpMethod {
  request: MessageType;
  handle: (request: never) => Message | Promise<Message>;
}

/** The methods of one service by name. */
export type TwirpService = Readonly<Record<string, TwirpMethod>>;

interface TwirpOptions {
  verify: (token: string) => Promise<Access>;
  /** Undefined for a room that is not open. */
  paceOf: (room: string) => CallPace | undefined;
}

interface Call extends Pick<TwirpOptions, 'paceOf'> {
  name: string;
  called: TwirpMethod;
  access: Access;
}

/** Types a method's handler by its request class. */
export function method<Request extends Message<Request>>(
  request: MessageType<Request>,
  handle: (request: Request) => Message | Promise<Message>,
): TwirpMethod {
  return { request, handle: handle as TwirpMethod['handle'] };
}

/**
 * Answers `POST /twirp/SERVICE/METHOD`, with JSON or protobuf as the request has it. The caller's token is checked
 * before the body is read, the room that it is for after.
 */
export function twirpHandler(
  services: Readonly<Record<string, TwirpService>>,
  options: TwirpOptions,
): PostHandler {
  return async (request) => {
    try {
      const { called, name } = find(services, request);
      const token = tokenOf(request.headers, request.query);
      const access = token === undefined ? undefined : await options.verify(token);
      requireCaller(name, access);
      const call = { name, called, access: access!, paceOf: options.paceOf };
      return (body) => answer(call, request, body);
    } catch (error) {
      // A token that is refused is refused before any service.
      if (error instanceof HttpError) throw error;
      const reply = errorReply(error);
      throw new HttpError(reply.status ?? 500, String(reply.body), { contentType: reply.contentType });
    }
  };
}

function find(
  services: Readonly<Record<string, TwirpService>>,
  { method: verb, path }: HttpRequest,
): { called: TwirpMethod; name: string } {
  const [, , serviceName = '', methodName = '', more] = path.split('/');
  const service = Object.hasOwn(services, serviceName) ? services[serviceName] : undefined;
  const called = service && Object.hasOwn(service, methodName) ? service[methodName] : undefined;
  if (!called || verb !== 'POST' || more !== undefined)
    throw new TwirpError('bad_route', `no handler for ${verb} ${path}`);
  return { called, name: `${serviceName}/${methodName}` };
}

async function answer(
  { name, called, access, paceOf }: Call,
  { headers }: HttpRequest,
  body: Buffer,
): Promise<HttpReply> {
  try {
    const isJson = (headers['content-type'] ?? '').startsWith('application/json');
    const request = readRequest(called.request, body, isJson);
    const room = requireGrant(name, access, request);
    const pace = room === undefined ? undefined : paceOf(room);
    const handle = () => called.handle(request as never);
    const response = await (pace ? pace.run(body.length, handle) : handle());
    return isJson
      ? { contentType: 'application/json', body: response.toJsonString() }
      : { contentType: 'application/protobuf', body: response.toBinary() };
  } catch (error) {
    return errorReply(error);
  }
}

function readRequest(type: MessageType, body: Buffer, isJson: boolean): Message {
  try {
    if (!isJson) {
      requireFewParts(type, body);
      return type.fromBinary(body);
    }
    requireFewBraces(body);
    return type.fromJsonString(body.toString() || '{}', { ignoreUnknownFields: true });
  } catch (error) {
    throw new TwirpError('malformed', `the request could not be decoded: ${describeError(error)}`);
  }
}

function errorReply(error: unknown): HttpReply {
  const isKnown = error instanceof TwirpError;
  if (!isKnown) log.error(describeError(error));
  const code = isKnown ? error.code : 'internal';
  const meta = isKnown && error.meta ? { meta: error.meta } : {};
  const body = JSON.stringify({ code, msg: isKnown ? error.message : 'internal error', ...meta });
  return { status: twirpStatuses[code], contentType: 'application/json', body };
}
