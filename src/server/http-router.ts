import type { IncomingMessage, ServerResponse } from 'node:http';
import { createLogger, describeError } from '../timeline/index.js';
import { HttpError } from './http-error.js';

const log = createLogger('server/http');

export interface HttpRequest {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
  body: Buffer;
}

export interface HttpReply {
  status?: number;
  contentType: string;
  body: string | Uint8Array;
}

type Handler = (request: HttpRequest) => HttpReply | Promise<HttpReply>;

const maxBodyBytes = 4 * 1024 * 1024;

/** Answers requests by path: exact ones, or whole families under a prefix that ends in `/`. */
export class HttpRouter {
  #routes: { path: string; handler: Handler }[] = [];

  route(path: string, handler: Handler): this {
    this.#routes.push({ path, handler });
    return this;
  }

  /** Answers one request; never rejects. */
  async handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    response.setHeader('Access-Control-Allow-Origin', '*');
    response.setHeader('Access-Control-Allow-Headers', '*');
    if (incoming.method === 'OPTIONS') {
      response.writeHead(204).end();
      return;
    }
    try {
      const { status = 200, contentType, body } = await this.#reply(incoming);
      response.writeHead(status, { 'Content-Type': contentType }).end(body);
    } catch (error) {
      const status = error instanceof HttpError ? error.status : 500;
      if (status >= 500) log.error(`${incoming.url}: ${describeError(error)}`);
      const text = error instanceof HttpError ? error.message : 'internal error';
      response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8' }).end(text);
    }
  }

  async #reply(incoming: IncomingMessage): Promise<HttpReply> {
    const { path, query } = splitUrl(incoming.url);
    const route = this.#routes.find((candidate) =>
      candidate.path.endsWith('/') && candidate.path !== '/'
        ? path.startsWith(candidate.path)
        : path === candidate.path,
    );
    if (!route) throw new HttpError(404, 'not found');
    const body = await readBody(incoming);
    return route.handler({ method: incoming.method ?? 'GET', path, query, headers: incoming.headers, body });
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

async function readBody(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBodyBytes) throw new HttpError(413, 'request body too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
