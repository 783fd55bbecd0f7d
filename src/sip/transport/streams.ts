import { connect, createServer, type Server, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { describeError, OffhookError } from '../../errors/index.js';
import { createLogger } from '../../logging/index.js';
import { limits } from '../limits.js';
import { StreamFraming } from '../message/index.js';
import { type Flow, plainAddress, type SipAddress, type SipTarget } from './flow.js';
import { cannotListen } from './udp.js';

const log = createLogger('sip/stream');
const connectTimeoutMs = 5_000;
const pong = Buffer.from('\r\n');

export interface StreamListenerOptions {
  host: string;
  port: number;
  protocol: 'tcp' | 'tls';
  /** Key and certificate; required for TLS. */
  tls?: TlsOptions;
  /** Certificate authorities that outgoing TLS connections trust besides the usual ones; false trusts any. */
  trust?: string | Buffer | false;
  onMessage(bytes: Buffer, flow: Flow): void;
  onClosed(flow: Flow): void;
  localFor(remote: string): SipAddress;
}

/** TCP or TLS: connections that peers open, and those that we open, kept for later messages. */
export class StreamListener {
  readonly port: number;
  readonly #options: StreamListenerOptions;
  readonly #server: Server;
  readonly #connections = new Map<Socket, StreamFlow>();

  private constructor(server: Server, options: StreamListenerOptions) {
    this.#server = server;
    this.#options = options;
    const address = server.address();
    this.port = typeof address === 'object' && address ? address.port : options.port;
  }

  /** @throws OffhookError `OFFHOOK_UNREACHABLE` when the port is taken or the address is not of this machine */
  static open(options: StreamListenerOptions): Promise<StreamListener> {
    const { protocol, host, port, tls } = options;
    const server = protocol === 'tls' ? createTlsServer({ ...tls, handshakeTimeout: 5_000 }) : createServer();
    return new Promise((resolve, reject) => {
      server.once('error', (cause) => reject(cannotListen(protocol.toUpperCase(), host, port, cause)));
      server.listen(port, host, () => {
        server.removeAllListeners('error');
        server.on('error', (error) => log.warn(`${protocol}: ${describeError(error)}`));
        const listener = new StreamListener(server, options);
        server.on(protocol === 'tls' ? 'secureConnection' : 'connection', (socket: Socket) =>
          listener.#accept(socket),
        );
        // A handshake that fails is the peer's affair; without a listener it would be ours.
        server.on('tlsClientError', (error) => log.debug(`TLS handshake: ${error.message}`));
        resolve(listener);
      });
    });
  }

  /**
   * A connection to `target`: one that is open, or a new one.
   *
   * @throws OffhookError `OFFHOOK_UNREACHABLE`, `OFFHOOK_CERTIFICATE`
   */
  flowTo(target: SipTarget): Promise<Flow> {
    for (const flow of this.#connections.values()) {
      const { remote } = flow;
      if (flow.isOpen && remote.address === target.address && remote.port === target.port) {
        return Promise.resolve(flow);
      }
    }
    return this.#connect(target);
  }

  async close(): Promise<void> {
    for (const socket of this.#connections.keys()) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #connect(target: SipTarget): Promise<Flow> {
    const { protocol, trust } = this.#options;
    const { address, port, serverName } = target;
    const socket =
      protocol === 'tls'
        ? connectTls({
            host: address,
            port,
            ...(serverName === undefined ? {} : { servername: serverName }),
            ...(trust === false ? { rejectUnauthorized: false } : trust ? { ca: trust } : {}),
          })
        : connect({ host: address, port });
    return new Promise((resolve, reject) => {
      const fail = (cause: unknown) => {
        socket.destroy();
        reject(
          new OffhookError(
            'OFFHOOK_UNREACHABLE',
            `a ${protocol.toUpperCase()} connection for SIP cannot be opened`,
            {
              host: `${address}:${port}`,
              cause,
              advice: describeError(cause),
            },
          ),
        );
      };
      const timer = setTimeout(() => fail(new Error('no answer')), connectTimeoutMs);
      socket.once('error', (error) => {
        clearTimeout(timer);
        fail(error);
      });
      socket.once(protocol === 'tls' ? 'secureConnect' : 'connect', () => {
        clearTimeout(timer);
        socket.removeAllListeners('error');
        resolve(this.#adopt(socket, { address, port }));
      });
    });
  }

  #accept(socket: Socket): void {
    const address = plainAddress(socket.remoteAddress ?? '');
    const fromThere = [...this.#connections.values()].filter(({ remote }) => remote.address === address);
    if (
      this.#connections.size >= limits.connections.value ||
      fromThere.length >= limits.connectionsPerAddress.value
    ) {
      socket.on('error', () => {});
      socket.destroy();
      return;
    }
    const flow = this.#adopt(socket, { address, port: socket.remotePort ?? 0 });
    socket.setTimeout(limits.firstMessageMs.value);
    socket.once('data', () => socket.setTimeout(limits.idleMs.value));
    log.debug(`${flow.protocol} connection from ${address}:${flow.remote.port}`);
  }

  #adopt(socket: Socket, remote: SipAddress): StreamFlow {
    const flow = new StreamFlow(socket, this.#options, remote);
    this.#connections.set(socket, flow);
    const framing = new StreamFraming();
    socket.setNoDelay(true);
    socket.setTimeout(limits.idleMs.value, () => socket.destroy());
    socket.on('data', (chunk) => {
      try {
        for (const unit of framing.push(chunk)) {
          if (unit.kind === 'message') this.#options.onMessage(unit.bytes, flow);
          else if (unit.kind === 'ping') flow.send(pong);
        }
      } catch (error) {
        log.debug(`${remote.address}:${remote.port}: ${describeError(error)}`);
        socket.destroy();
      }
    });
    socket.on('error', (error) => log.debug(`${remote.address}:${remote.port}: ${error.message}`));
    socket.on('close', () => {
      this.#connections.delete(socket);
      this.#options.onClosed(flow);
    });
    return flow;
  }
}

class StreamFlow implements Flow {
  readonly protocol: 'tcp' | 'tls';
  readonly remote: SipAddress;
  readonly #socket: Socket;
  readonly #options: StreamListenerOptions;

  constructor(socket: Socket, options: StreamListenerOptions, remote: SipAddress) {
    this.#socket = socket;
    this.#options = options;
    this.protocol = options.protocol;
    this.remote = remote;
  }

  get local(): SipAddress {
    return this.#options.localFor(this.remote.address);
  }

  get isOpen(): boolean {
    return !this.#socket.destroyed && this.#socket.writable;
  }

  send(bytes: Buffer): void {
    if (!this.isOpen) return;
    if (this.#socket.writableLength > limits.unsentBytes.value) this.#socket.destroy();
    else this.#socket.write(bytes);
  }
}
