import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocket, WebSocketServer } from 'ws';
import { describeError, OffhookError } from '../errors/index.js';
import { createLogger } from '../logging/index.js';
import { BoundedLog } from './bounded-log.js';
import { HttpError } from './http-error.js';
import { type HttpRouter, httpErrorOf, splitUrl, tokenOf } from './http-router.js';
import { limits } from './limits.js';
import { startTimeout } from './timers.js';
import { Turns } from './turns.js';

const log = createLogger('server/http');

/** A request to change to WebSocket. */
interface UpgradeRequest {
  query: URLSearchParams;
  token: string | undefined;
  /** Address of the client. */
  address: string;
}

/** How an accepted request goes on. Both steps happen in one turn, so that what `admit` has found still holds. */
interface Admission {
  /** @throws HttpError when the client may not come in now. */
  admit(): void;
  serve(socket: WebSocket): void;
}

/** Decides on a request by its token. May reject with an HttpError. */
type WebSocketRoute = (request: UpgradeRequest) => Promise<Admission>;

/** How long a connection may take to end when the server closes. */
const closeTimeoutMs = 1_000;
/** How long a client may take to send a request. */
interface RequestDeadlines {
  headerMs: number;
  requestMs: number;
  /** How often Node looks for requests that take too long. */
  checkMs: number;
}

const requestDeadlines: RequestDeadlines = {
  headerMs: limits.httpHeaderMs.value,
  requestMs: limits.httpRequestMs.value,
  checkMs: 2_000,
};
const upgradeHeaders: ReadonlySet<string> = new Set(['upgrade', 'connection', 'http2-settings']);

/** The TCP port of the server: HTTP requests by one router, WebSockets by path. */
export class HttpListener {
  #server: Server;
  #sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    // See `answerPing`.
    autoPong: false,
    maxPayload: limits.signalMessageBytes.value,
    maxFragments: limits.messageFragments.value,
    maxBufferedChunks: limits.messageChunks.value,
  });
  #connections = new Set<Socket>();
  /** Requests of each connection that are not answered yet. */
  #unanswered = new WeakMap<Socket, number>();
  /** Those on which a wish for another protocol was ignored. */
  #downgraded = new WeakSet<Duplex>();
  #webSocketRoutes: Readonly<Record<string, WebSocketRoute>>;
  #turns: Turns;

  constructor(
    router: HttpRouter,
    webSocketRoutes: Readonly<Record<string, WebSocketRoute>>,
    { headerMs, requestMs, checkMs }: RequestDeadlines = requestDeadlines,
    turns = new Turns(),
  ) {
    this.#turns = turns;
    this.#webSocketRoutes = webSocketRoutes;
    const handle = (request: IncomingMessage, response: ServerResponse) => {
      if (this.#isAnswering(request.socket, response)) void router.handle(request, response);
    };
    this.#server = createServer(
      {
        maxHeaderSize: limits.httpHeaderBytes.value,
        headersTimeout: headerMs,
        requestTimeout: requestMs,
        connectionsCheckingInterval: checkMs,
      },
      handle,
    );
    this.#server.maxConnections = limits.concurrentConnections.value;
    // Without this a client that awaits `100 Continue` sends its body before it was asked to.
    this.#server.on('checkContinue', handle);
    this.#server.on('connection', (socket: Socket) => {
      this.#connections.add(socket);
      socket.once('close', () => this.#connections.delete(socket));
    });
    this.#server.on('upgrade', (request: IncomingMessage, stream: Duplex, head: Buffer) => {
      stream.on('error', (error: Error) =>
        log.debug(`error on a connection that is upgraded: ${error.message}`),
      );
      if (request.headers.upgrade?.toLowerCase() !== 'websocket') {
        this.#ignoreUpgrade(request, stream, head);
        return;
      }
      this.#upgrade(request, stream, head).catch((error: unknown) => refuse(request, stream, error));
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

  /** Closes every connection: WebSockets with a close frame, and those that do not answer it without. */
  async close(): Promise<void> {
    for (const socket of this.#sockets.clients) socket.close(1001);
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    const giveUp = startTimeout('HTTP listener', closeTimeoutMs, () => {
      for (const socket of this.#connections) socket.destroy();
    });
    await closed;
    giveUp.cancel();
  }

  /**
   * Counts a request until it is answered. False when the connection is cut, for it sends requests without waiting for their
   * answers: a piece of what it sends holds thousands of them.
   */
  #isAnswering(socket: Socket, response: ServerResponse): boolean {
    if (socket.destroyed) return false;
    const unanswered = (this.#unanswered.get(socket) ?? 0) + 1;
    if (unanswered > limits.pipelinedRequests.value) {
      socket.destroy();
      return false;
    }
    this.#unanswered.set(socket, unanswered);
    response.once('close', () => this.#unanswered.set(socket, this.#unanswered.get(socket)! - 1));
    return true;
  }

  async #upgrade(request: IncomingMessage, stream: Duplex, head: Buffer): Promise<void> {
    const { path, query } = splitUrl(request.url);
    const route = Object.hasOwn(this.#webSocketRoutes, path) ? this.#webSocketRoutes[path] : undefined;
    if (!route) throw new HttpError(404, 'not found');
    const token = tokenOf(request.headers, query);
    const admission = await route({ query, token, address: request.socket.remoteAddress ?? '' });
    await new Promise<void>((resolve, reject) => {
      const enter = () => {
        try {
          this.#enter(path, admission, request, stream, head);
          resolve();
        } catch (error) {
          reject(error);
        }
        return false;
      };
      this.#turns.request(enter);
    });
  }

  #enter(
    path: string,
    { admit, serve }: Admission,
    request: IncomingMessage,
    stream: Duplex,
    head: Buffer,
  ): void {
    admit();
    this.#sockets.handleUpgrade(request, stream, head, (socket) => {
      // Also of a socket that nobody serves: a frame that is none would end the process.
      socket.on('error', (error) => log.debug(`${path}: ${error.message}`));
      socket.on('ping', (data: Buffer) => answerPing(socket, data));
      try {
        serve(socket);
      } catch (error) {
        // Too late for an HTTP status.
        log.error(`${path}: ${describeError(error)}`);
        socket.close(1011, 'internal error');
      }
    });
  }

  /**
   * Reads a request again without its wish for another protocol, such as h2c: a server that does not speak it goes on
   * in HTTP/1.1 (RFC 9110, section 7.8). Reading again adds listeners to the connection: one with a second wish is closed
   * behind its answer.
   */
  #ignoreUpgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    const { method = 'GET', url = '/', rawHeaders } = request;
    const lines = [`${method} ${url} HTTP/1.1`];
    for (let i = 0; i < rawHeaders.length; i += 2) {
      if (!upgradeHeaders.has(rawHeaders[i]!.toLowerCase()))
        lines.push(`${rawHeaders[i]}: ${rawHeaders[i + 1]}`);
    }
    if (this.#downgraded.has(stream)) lines.push('Connection: close');
    this.#downgraded.add(stream);
    stream.unshift(Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), head]));
    this.#server.emit('connection', stream);
  }
}

/** A client that sends pings and reads nothing gets no more answers than it may leave unread. */
function answerPing(socket: WebSocket, data: Buffer): void {
  if (socket.readyState !== WebSocket.OPEN || socket.bufferedAmount > limits.unreadPongBytes.value) return;
  socket.pong(data);
}

const refusals = new BoundedLog(log, 60);

/** The path without its query, which may hold a token. */
function logRefusal(request: IncomingMessage, status: number, message: string): void {
  if (status >= 500) return;
  const { path } = splitUrl(request.url);
  const who = path === '/agent' ? 'a worker' : `a client of ${path}`;
  const from = request.socket.remoteAddress ?? 'an unknown address';
  refusals.write('info', `${who} at ${from} is refused: ${status} ${message}`);
}

function refuse(request: IncomingMessage, stream: Duplex, error: unknown): void {
  const { status, message } = httpErrorOf(error, request.url ?? '');
  logRefusal(request, status, message);
  const lines = [
    `HTTP/1.1 ${status} ${message.replace(/[^\x20-\x7e]/g, ' ')}`,
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(message)}`,
    'Connection: close',
  ];
  stream.end(`${lines.join('\r\n')}\r\n\r\n${message}`);
  // Nothing more is read of a client that was refused.
  const giveUp = startTimeout('HTTP connection', closeTimeoutMs, () => stream.destroy());
  stream.once('close', () => giveUp.cancel());
}
