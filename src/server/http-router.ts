import type { IncomingMessage, ServerResponse } from 'node:http';
import { describeError } from '../errors/index.js';
import { createLogger } from '../logging/index.js';
import { HttpError } from './http-error.js';
import { limits } from './limits.js';
import { startTimeout } from './timers.js';

const log = createLogger('server/http');

export interface HttpRequest {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
  /** Address of the client. */
  address: string;
}

export interface HttpReply {
  status?: number;
  contentType: string;
  body: string | Uint8Array;
}

type Reply = HttpReply | Promise<HttpReply>;

/** Answers requests that have no body, with GET or HEAD. */
export type PageHandler = (request: HttpRequest) => Reply;

/**
 * Answers POST requests in two steps: what can be refused by the headers is, and only then the body is read. What it
 * returns takes the body.
 */
export type PostHandler = (request: HttpRequest) => Promise<(body: Buffer) => Reply>;

interface Route {
  path: string;
  page?: PageHandler;
  post?: PostHandler;
}

const corsHeaders = {
  'Access-Control-Allow-Origin': '*',
  // A wildcard does not stand for Authorization (Fetch standard, section 4.9).
  'Access-Control-Allow-Headers': 'Authorization, Content-Type, *',
  'Access-Control-Allow-Methods': 'OPTIONS, HEAD, GET, POST',
  'Access-Control-Expose-Headers': '*',
};

/** Answers requests by path: exact ones, or whole families under a prefix that ends in `/`. */
export class HttpRouter {
  #routes: Route[] = [];

  page(path: string, page: PageHandler): this {
    this.#routes.push({ path, page });
    return this;
  }

  post(path: string, post: PostHandler): this {
    this.#routes.push({ path, post });
    return this;
  }

  /** Answers one request; never rejects. */
  async handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    incoming.on('error', (error) => log.debug(`error on an HTTP request: ${error.message}`));
    response.on('error', (error) => log.debug(`error on an HTTP response: ${error.message}`));
    for (const [name, value] of Object.entries(corsHeaders)) response.setHeader(name, value);
    if (incoming.method === 'OPTIONS') {
      response.setHeader('Access-Control-Max-Age', '86400');
      finish(incoming, response, 204, '');
      return;
    }
    try {
      const { status = 200, contentType, body } = await this.#reply(incoming, response);
      response.setHeader('Content-Type', contentType);
      finish(incoming, response, status, body);
    } catch (error) {
      if (response.headersSent || response.destroyed) return;
      const { status, message, contentType } = httpErrorOf(error, incoming.url ?? '');
      response.setHeader('Content-Type', contentType);
      finish(incoming, response, status, message);
    }
  }

  async #reply(incoming: IncomingMessage, response: ServerResponse): Promise<HttpReply> {
    const { path, query } = splitUrl(incoming.url);
    const route = this.#routes.find((candidate) =>
      candidate.path.endsWith('/') && candidate.path !== '/'
        ? path.startsWith(candidate.path)
        : path === candidate.path,
    );
    if (!route) throw new HttpError(404, 'not found');
    const method = incoming.method ?? 'GET';
    const address = incoming.socket.remoteAddress ?? '';
    const request = { method, path, query, headers: incoming.headers, address };
    if (route.page) {
      if (method !== 'GET' && method !== 'HEAD') throw new HttpError(405, 'method not allowed');
      return route.page(request);
    }
    const length = Number(incoming.headers['content-length'] ?? 0);
    if (!(length <= limits.httpBodyBytes.value)) throw new HttpError(413, 'request body too large');
    const answer = await route.post!(request);
    if (incoming.headers.expect !== undefined) response.writeContinue();
    return answer(await readBody(incoming));
  }
}

/** Path and query of a request line; a doubled slash in front counts as one. */
export function splitUrl(url: string | undefined): { path: string; query: URLSearchParams } {
  const [path = '/', query = ''] = (url ?? '/').split('?', 2);
  return { path: path.replace(/^\/+/, '/'), query: new URLSearchParams(query) };
}

/** The token of a request: `Authorization: Bearer …`, or the query's `access_token`. */
export function tokenOf(headers: IncomingMessage['headers'], query: URLSearchParams): string | undefined {
  const { authorization } = headers;
  if (authorization === undefined) return query.get('access_token') ?? undefined;
  if (!authorization.startsWith('Bearer ')) {
    throw new HttpError(401, 'invalid authorization header. Must start with Bearer ');
  }
  return authorization.slice('Bearer '.length);
}

/** Status and text for a request that failed. Anything but an HttpError is a fault of ours, and is logged. */
export function httpErrorOf(error: unknown, what: string): HttpError {
  if (error instanceof HttpError) return error;
  // The query may hold a token.
  log.error(`${what.split('?')[0]}: ${describeError(error)}`);
  return new HttpError(500, 'internal error');
}

/** Sends the answer. A request whose body was not read ends the connection, once the answer has had time to arrive. */
function finish(
  incoming: IncomingMessage,
  response: ServerResponse,
  status: number,
  body: string | Uint8Array,
): void {
  response.statusCode = status;
  if (incoming.complete || !hasBody(incoming)) {
    response.end(body);
    return;
  }
  response.setHeader('Connection', 'close');
  response.end(body);
  let bytes = 0;
  const { socket } = incoming;
  const giveUp = startTimeout('HTTP connection', limits.lingerMs.value, () => socket.destroy());
  socket.once('close', () => giveUp.cancel());
  incoming.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > limits.lingerBytes.value) socket.destroy();
  });
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

async function readBody(incoming: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    incoming.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > limits.httpBodyBytes.value) {
        chunks.length = 0;
        reject(new HttpError(413, 'request body too large'));
      } else {
        chunks.push(chunk);
      }
    });
    incoming.once('end', () => resolve(Buffer.concat(chunks)));
    incoming.once('close', () => reject(new HttpError(400, 'the request ended early')));
  });
}
