import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { createLogger, describeError, OffhookError } from '../timeline/index.js';
import { HttpError } from './http-error.js';
import { type HttpRouter, splitUrl, tokenOf } from './http-router.js';

const log = createLogger('server/http');

/** A request to change to WebSocket. */
interface UpgradeRequest {
  query: URLSearchParams;
  token: string | undefined;
  /** Address of the client. */
  address: string;
}

/** Decides on a request, and gives what is to serve the socket. May reject with an HttpError. */
type WebSocketRoute = (request: UpgradeRequest) => Promise<(socket: WebSocket) => void>;

const maxMessageBytes = 1024 * 1024;

/** The TCP port of the server: HTTP requests by one router, WebSockets by path. */
export class HttpListener {
  #server: Server;
  #sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: maxMessageBytes });
  #webSocketRoutes: Readonly<Record<string, WebSocketRoute>>;

  constructor(router: HttpRouter, webSocketRoutes: Readonly<Record<string, WebSocketRoute>>) {
    this.#webSocketRoutes = webSocketRoutes;
    this.#server = createServer((request, response) => void router.handle(request, response));
    this.#server.on('upgrade', (request: IncomingMessage, stream: Duplex, head: Buffer) => {
      stream.on('error', (error: Error) => log.debug(`upgrade: ${error.message}`));
      this.#upgrade(request, stream, head).catch((error: unknown) => refuse(stream, error));
    });
  }

  /**
   * Begins to listen, and resolves with the port.
   *
   * @throws OffhookError `OFFHOOK_UNREACHABLE` when the port is taken or the address is not of this machine.
   */
  async listen(port: number, host: string): Promise<number> {
    try {
      await new Promise<void>((resolve, reject) => {
        this.#server.once('error', reject);
        this.#server.listen(port, host, resolve);
      });
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      const isTaken = code === 'EADDRINUSE';
      const what = isTaken ? `TCP port ${port} of ${host} is taken` : `cannot listen on ${host}: ${message}`;
      throw new OffhookError('OFFHOOK_UNREACHABLE', what, {
        stage: 'server',
        host: `${host}:${port}`,
        cause,
        ...(isTaken ? { advice: 'Choose another with --port, or stop what listens there.' } : {}),
      });
    }
    return (this.#server.address() as AddressInfo).port;
  }

  /** Closes every connection; WebSockets that were told to close already get to say so. */
  async close(): Promise<void> {
    for (const socket of this.#sockets.clients) socket.close(1001);
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
    for (const socket of this.#sockets.clients) socket.terminate();
  }

  async #upgrade(request: IncomingMessage, stream: Duplex, head: Buffer): Promise<void> {
    const { path, query } = splitUrl(request.url);
    const route = Object.hasOwn(this.#webSocketRoutes, path) ? this.#webSocketRoutes[path] : undefined;
    if (!route) throw new HttpError(404, 'not found');
    const token = tokenOf(request.headers, query);
    const serve = await route({ query, token, address: request.socket.remoteAddress ?? '' });
    this.#sockets.handleUpgrade(request, stream, head, (socket) => {
      try {
        serve(socket);
      } catch (error) {
        // Too late for an HTTP status.
        log.error(`${path}: ${describeError(error)}`);
        socket.close(1011, 'internal error');
      }
    });
  }
}

function refuse(stream: Duplex, error: unknown): void {
  const status = error instanceof HttpError ? error.status : 500;
  const text = error instanceof HttpError ? error.message : 'internal error';
  if (status >= 500) log.error(`upgrade: ${describeError(error)}`);
  const lines = [
    `HTTP/1.1 ${status} ${text.replace(/[^\x20-\x7e]/g, ' ')}`,
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(text)}`,
    'Connection: close',
  ];
  stream.end(`${lines.join('\r\n')}\r\n\r\n${text}`);
}
