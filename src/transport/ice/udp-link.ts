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

interface UdpLinkOptions {
  /** The local port. */
  port: number;
  /** Where packets leave from, where the socket has one address. */
  local: TransportAddress | undefined;
  onPacket: PacketListener;
  send: (packet: Buffer, address: string, port: number) => void;
  onForgotten?: (path: IcePath) => void;
  onClose: () => void;
}

/** The paths of one agent over a UDP socket, which is its own or a shared one. */
export class UdpLink implements IceLink {
  readonly port: number;
  #options: UdpLinkOptions;
  #paths = new Map<string, IcePath>();
  /** Where the last packet came from: the next one most likely does too. */
  #last: IcePath | undefined;
  #closed = false;

  constructor(options: UdpLinkOptions) {
    this.#options = options;
    this.port = options.port;
  }

  /** The path to an address, the same for every call until it is forgotten. */
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
    this.#options.onForgotten?.(path);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const path of this.#paths.values()) this.#options.onForgotten?.(path);
    this.#options.onClose();
  }

  /**
   * Takes a packet from whatever address. Runs once for every packet of a socket of the agent's own, for STUN of a shared one.
   *
   * @returns the path, when the listener has accepted the packet
   */
  receive(packet: Buffer, address: string, port: number): IcePath | undefined {
    if (this.#closed) return undefined;
    const { onPacket } = this.#options;
    const last = this.#last;
    if (last && last.remote.port === port && last.remote.address === address) {
      return onPacket(last, packet) ? last : undefined;
    }
    const key = keyOf(address, port);
    const known = this.#paths.get(key);
    if (!known && !isStun(packet)) return undefined;
    const path = known ?? this.#newPath(address, port);
    if (!onPacket(path, packet) || this.#closed) return undefined;
    if (!known) this.#paths.set(key, path);
    this.#last = path;
    return path;
  }

  /** Takes a packet that came over a path of this link. */
  deliver(path: IcePath, packet: Buffer): void {
    if (!this.#closed) this.#options.onPacket(path, packet);
  }

  #newPath(address: string, port: number): IcePath {
    const { local, send } = this.#options;
    return {
      protocol: 'udp',
      local,
      remote: { address, port },
      send: (packet) => {
        if (!this.#closed) send(packet, address, port);
      },
    };
  }
}

/**
 * A link over a socket of its own.
 *
 * @throws OffhookError as `bindUdp` does
 */
export function openUdpLink(options: {
  family: 4 | 6;
  bindAddress?: string | undefined;
  onPacket: PacketListener;
}): UdpLink {
  const { family, bindAddress, onPacket } = options;
  const socket = bindUdp(family, bindAddress);
  const { port } = socket.address();
  const link = new UdpLink({
    port,
    local: bindAddress === undefined ? undefined : { address: bindAddress, port },
    onPacket,
    send: (packet, address, to) => socket.send(packet, to, address),
    onClose: () => void socket.close(),
  });
  socket.on('message', (packet, from) => void link.receive(packet, from.address, from.port));
  return link;
}

export const keyOf = (address: string, port: number) => `${port} ${address}`;
