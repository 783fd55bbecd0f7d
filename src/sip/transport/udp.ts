import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { describeError, OffhookError } from '../../errors/index.js';
import { createLogger } from '../../logging/index.js';
import { type Flow, plainAddress, type SipAddress } from './flow.js';

const log = createLogger('sip/udp');
/** Keep-alives (RFC 5626) and the packets of scanners that hold nothing. */
const minBytes = 16;

export interface UdpListenerOptions {
  host: string;
  port: number;
  onDatagram(bytes: Buffer, flow: Flow): void;
  /** The address that peers are to answer to, for a packet from `remote`. */
  localFor(remote: string): SipAddress;
}

/** One UDP socket for all peers. */
export class UdpListener {
  readonly port: number;
  readonly #socket: Socket;
  readonly #options: UdpListenerOptions;
  #closed = false;

  private constructor(socket: Socket, options: UdpListenerOptions) {
    this.#socket = socket;
    this.#options = options;
    this.port = socket.address().port;
    socket.on('message', (bytes, { address, port }) => {
      if (bytes.length < minBytes) return;
      options.onDatagram(bytes, this.flowTo({ address: plainAddress(address), port }));
    });
    socket.on('error', (error) => log.warn(`UDP port ${this.port}: ${describeError(error)}`));
  }

  /** @throws OffhookError `OFFHOOK_UNREACHABLE` when the port is taken or the address is not of this machine */
  static open(options: UdpListenerOptions): Promise<UdpListener> {
    const socket = createSocket({ type: isIPv6(options.host) ? 'udp6' : 'udp4' });
    return new Promise((resolve, reject) => {
      socket.once('error', (cause) => {
        socket.close();
        reject(cannotListen('UDP', options.host, options.port, cause));
      });
      socket.bind(options.port, options.host, () => {
        socket.removeAllListeners('error');
        resolve(new UdpListener(socket, options));
      });
    });
  }

  flowTo(remote: SipAddress): Flow {
    const listener = this;
    return {
      protocol: 'udp',
      remote,
      get local() {
        return listener.#options.localFor(remote.address);
      },
      get isOpen() {
        return !listener.#closed;
      },
      send: (bytes) => this.#send(bytes, remote),
    };
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    return new Promise((resolve) => this.#socket.close(() => resolve()));
  }

  #send(bytes: Buffer, { address, port }: SipAddress): void {
    if (this.#closed) return;
    this.#socket.send(bytes, port, address, (error) => {
      if (error) log.debug(`UDP to ${address}:${port}: ${error.message}`);
    });
  }
}

export function cannotListen(protocol: string, host: string, port: number, cause: unknown): OffhookError {
  return new OffhookError('OFFHOOK_UNREACHABLE', `cannot listen for SIP on ${protocol} ${host}:${port}`, {
    stage: 'server',
    cause,
    advice: `${describeError(cause)}. Give another port, or an address of this machine.`,
  });
}
