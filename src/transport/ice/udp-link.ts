import { createSocket, type Socket } from 'node:dgram';
import { OffhookError } from '../../errors/index.js';
import type { IcePath } from './ice-agent.js';
import { isStun, type TransportAddress } from './stun.js';

/**
 * Takes a packet that came over a path. The path of a source that nobody knew is kept only when the listener returns true:
 * whoever sends garbage from thousands of ports leaves nothing behind.
 */
export type PacketListener = (path: IcePath, packet: Buffer) => boolean;

/** Something that carries packets to one or several addresses. Nothing is kept alive by it. */
export interface IceLink {
  close(): void;
}

/** Paths over UDP, from a socket of their own or a shared one. */
export interface UdpPaths extends IceLink {
  /** The local port. */
  readonly port: number;
  /** The path to an address, the same for every call until it is forgotten. */
  pathTo(remote: TransportAddress): IcePath;
  forget(path: IcePath): void;
}

const ignoreFailure = () => {};

/**
 * Binds a UDP socket, which has its port when this returns: addresses need no resolver, so nothing is waited for.
 *
 * @throws OffhookError `OFFHOOK_TRANSPORT` when the address is not this machine's, the port is taken, or no descriptor
 *   is left
 */
export function bindUdp(family: 4 | 6, bindAddress: string | undefined, port = 0): Socket {
  const socket = createSocket({
    type: family === 4 ? 'udp4' : 'udp6',
    ipv6Only: family === 6,
    // Addresses only: without it each packet asks the resolver.
    lookup: (address, _, found) => found(null, address, family),
  });
  const address = bindAddress ?? (family === 4 ? '0.0.0.0' : '::');
  let cause: unknown;
  // A destination that cannot be reached shows in checks that get no answer.
  socket.on('error', ignoreFailure);
  try {
    // In a worker of node:cluster the socket would be the primary's otherwise.
    socket.bind({ port, address, exclusive: true });
    if (socket.address().port > 0) return socket.unref();
  } catch (error) {
    cause = error;
  }
  try {
    socket.close();
  } catch {
    // It never opened.
  }
  throw new OffhookError('OFFHOOK_TRANSPORT', `no UDP socket can be bound to ${address} port ${port}`, {
    cause,
    advice: 'Check that the address is one of this machine, the port is free, and file descriptors are left.',
  });
}

/** A UDP socket and the paths from it, to those who found it by themselves too. */
export class UdpLink implements UdpPaths {
  readonly port: number;
  #socket: Socket;
  #paths = new Map<string, IcePath>();
  /** Where the last packet came from: the next one most likely does too. */
  #last: IcePath | undefined;
  #onPacket: PacketListener;
  #bindAddress: string | undefined;
  #closed = false;

  /** @throws OffhookError as `bindUdp` does */
  constructor(options: { family: 4 | 6; bindAddress?: string; onPacket: PacketListener }) {
    const { family, bindAddress, onPacket } = options;
    this.#onPacket = onPacket;
    this.#bindAddress = bindAddress;
    this.#socket = bindUdp(family, bindAddress);
    this.port = this.#socket.address().port;
    this.#socket.on('message', (packet, { address, port }) => this.#receive(packet, address, port));
  }

  pathTo(remote: TransportAddress): IcePath {
    const key = keyOf(remote.address, remote.port);
    const known = this.#paths.get(key);
    if (known) return known;
    const path = this.#newPath(remote.address, remote.port);
    this.#paths.set(key, path);
    return path;
  }

  forget(path: IcePath): void {
    this.#paths.delete(keyOf(path.remote.address, path.remote.port));
    if (this.#last === path) this.#last = undefined;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
  }

  /** Runs once for every packet. */
  #receive(packet: Buffer, address: string, port: number): void {
    if (this.#closed) return;
    const last = this.#last;
    if (last && last.remote.port === port && last.remote.address === address) {
      this.#onPacket(last, packet);
      return;
    }
    const key = keyOf(address, port);
    const known = this.#paths.get(key);
    if (known) {
      this.#last = known;
      this.#onPacket(known, packet);
    } else if (isStun(packet)) {
      const path = this.#newPath(address, port);
      if (this.#onPacket(path, packet) && !this.#closed) this.#paths.set(key, path);
    }
  }

  #newPath(address: string, port: number): IcePath {
    const local =
      this.#bindAddress === undefined ? undefined : { address: this.#bindAddress, port: this.port };
    return {
      protocol: 'udp',
      local,
      remote: { address, port },
      send: (packet) => {
        if (!this.#closed) this.#socket.send(packet, port, address);
      },
    };
  }
}

const keyOf = (address: string, port: number) => `${port} ${address}`;
