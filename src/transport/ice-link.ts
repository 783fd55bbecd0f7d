import { createSocket, type Socket } from 'node:dgram';
import { connect, type Socket as TcpSocket } from 'node:net';
import type { IcePath } from './ice-agent.js';
import type { TransportAddress } from './stun.js';

export type PacketListener = (path: IcePath, packet: Buffer) => void;

/** Something that carries packets to one or several addresses. Nothing is kept alive by it. */
export interface IceLink {
  close(): void;
}

/** A UDP socket and the paths from it, to those who found it by themselves too. */
export class UdpLink implements IceLink {
  /** The local one; pending for ever when there is none to be had. */
  readonly port: Promise<number>;
  #socket: Socket;
  #paths = new Map<string, IcePath>();
  #onPacket: PacketListener;
  #closed = false;

  constructor(options: { family: 4 | 6; bindAddress?: string; onPacket: PacketListener }) {
    const { family, bindAddress, onPacket } = options;
    this.#onPacket = onPacket;
    this.#socket = createSocket({
      type: family === 4 ? 'udp4' : 'udp6',
      ipv6Only: family === 6,
      // Addresses only: without it each packet asks the resolver.
      lookup: (address, _, found) => found(null, address, family),
    });
    this.#socket.on('message', (packet, { address, port }) => {
      this.#onPacket(this.pathTo({ address, port }), packet);
    });
    // A destination that cannot be reached shows in the checks, which get no answer.
    this.#socket.on('error', () => {});
    this.port = new Promise((resolve) => {
      this.#socket.once('listening', () => resolve(this.#socket.address().port));
    });
    this.#socket.bind({ port: 0, ...(bindAddress === undefined ? {} : { address: bindAddress }) });
    this.#socket.unref();
  }

  pathTo(remote: TransportAddress, local?: TransportAddress): IcePath {
    const key = `${remote.address} ${remote.port}`;
    const known = this.#paths.get(key);
    if (known) return known;
    const path: IcePath = {
      protocol: 'udp',
      local,
      remote,
      send: (packet: Buffer) => {
        if (!this.#closed) this.#socket.send(packet, remote.port, remote.address, ignoreFailure);
      },
    };
    this.#paths.set(key, path);
    return path;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
  }
}

const ignoreFailure = () => {};
const maxQueuedBytes = 64 * 1024;

/** An active ICE-TCP connection (RFC 6544): each packet has its length in front of it (RFC 4571). */
export class TcpLink implements IceLink {
  readonly path: IcePath;
  #socket: TcpSocket;
  #received: Buffer = Buffer.alloc(0);

  constructor(options: {
    remote: TransportAddress;
    onOpen: (local: TransportAddress) => void;
    onPacket: PacketListener;
    /** Called once when the connection has failed or ended, unless it was closed from here. */
    onClosed: () => void;
  }) {
    const { remote, onOpen, onPacket, onClosed } = options;
    this.#socket = connect({ host: remote.address, port: remote.port, noDelay: true });
    this.path = { protocol: 'tcp', local: undefined, remote, send: (packet) => this.#send(packet) };
    this.#socket.once('connect', () => {
      const { localAddress = '', localPort = 0 } = this.#socket;
      onOpen({ address: localAddress, port: localPort });
    });
    this.#socket.on('data', (chunk) => this.#receive(chunk, onPacket));
    this.#socket.on('error', ignoreFailure);
    this.#socket.once('close', onClosed);
    this.#socket.unref();
  }

  close(): void {
    this.#socket.removeAllListeners('close');
    this.#socket.destroy();
  }

  #send(packet: Buffer): void {
    // What a slow connection cannot carry is dropped, as a network would: late audio is of no use.
    if (this.#socket.readyState !== 'open' || this.#socket.writableLength > maxQueuedBytes) return;
    const framed = Buffer.allocUnsafe(2 + packet.length);
    framed.writeUInt16BE(packet.length, 0);
    packet.copy(framed, 2);
    this.#socket.write(framed);
  }

  #receive(chunk: Buffer, onPacket: PacketListener): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    while (this.#received.length >= 2) {
      const bytes = this.#received.readUInt16BE(0);
      if (this.#received.length < 2 + bytes) return;
      const packet = this.#received.subarray(2, 2 + bytes);
      this.#received = this.#received.subarray(2 + bytes);
      onPacket(this.path, packet);
    }
  }
}
