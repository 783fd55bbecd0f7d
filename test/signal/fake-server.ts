// A WebSocket server of the test's own, for what a real livekit-server never does.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { SignalRequest, SignalResponse } from '@livekit/protocol';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Certificate } from './certificates.js';

export interface FakeServer {
  url: string;
  port: number;
  /** Requests for an upgrade, in order. */
  upgrades: IncomingMessage[];
  close(): Promise<void>;
}

function portOf(server: Server | ReturnType<typeof createTcpServer>): number {
  return (server.address() as AddressInfo).port;
}

export interface FakeServerOptions {
  /** Answers requests that are no upgrade. */
  answer?(request: IncomingMessage, response: ServerResponse): void;
  /** Makes it a server of https and wss. */
  certificate?: Certificate;
  /** Port to listen on; a free one when not given. */
  port?: number;
}

/** Answers upgrades; `serve` speaks for the server on each connection. */
export async function fakeServer(
  serve: (socket: WebSocket) => void,
  { answer = (_, response) => response.end(), certificate, port = 0 }: FakeServerOptions = {},
): Promise<FakeServer> {
  const http = certificate ? createTlsServer(certificate, answer) : createServer(answer);
  http.on('tlsClientError', () => {});
  const webSockets = new WebSocketServer({ server: http });
  const upgrades: IncomingMessage[] = [];
  webSockets.on('connection', (socket, request) => {
    upgrades.push(request);
    socket.on('error', () => {});
    serve(socket);
  });
  await new Promise<void>((resolve) => http.listen(port, '127.0.0.1', resolve));
  return {
    url: `${certificate ? 'wss' : 'ws'}://127.0.0.1:${portOf(http)}`,
    port: portOf(http),
    upgrades,
    close: () => {
      for (const socket of webSockets.clients) socket.terminate();
      http.closeAllConnections();
      return new Promise((resolve) => http.close(() => resolve()));
    },
  };
}

export interface SilentServer {
  url: string;
  port: number;
  /** Connections that are open now. */
  connections(): Promise<number>;
  close(): Promise<void>;
}

/** Accepts connections and says nothing. */
export async function silentServer(): Promise<SilentServer> {
  const sockets = new Set<Socket>();
  const server = createTcpServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    socket.resume();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `ws://127.0.0.1:${portOf(server)}`,
    port: portOf(server),
    connections: async () => sockets.size,
    close: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

export function say(socket: WebSocket, message: SignalResponse['message']): void {
  socket.send(new SignalResponse({ message }).toBinary());
}

export function heardOn(socket: WebSocket, listener: (message: SignalRequest['message']) => void): void {
  socket.on('message', (data) => listener(SignalRequest.fromBinary(data as Buffer).message));
}
