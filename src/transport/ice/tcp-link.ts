import { connect, type Socket } from 'node:net';
import { limits } from '../../limits.js';
import type { IcePath } from './ice-agent.js';
import type { TransportAddress } from './stun.js';
import type { IceLink, PacketListener } from './udp-link.js';

/** An active ICE-TCP connection (RFC 6544): each packet has its length in front of it (RFC 4571). */
export class TcpLink implements IceLink {
  readonly path: IcePath & { local: TransportAddress | undefined };
  #socket: Socket;
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
      this.path.local = { address: localAddress, port: localPort };
      onOpen(this.path.local);
    });
    this.#socket.on('data', (chunk) => this.#receive(chunk, onPacket));
    this.#socket.on('error', () => {});
    this.#socket.once('close', onClosed);
    this.#socket.unref();
  }

  close(): void {
    this.#socket.removeAllListeners('close');
    this.#socket.destroy();
  }

  #send(packet: Buffer): void {
    // What a slow connection cannot carry is dropped, as a network would: late audio is of no use.
    if (this.#socket.readyState !== 'open' || this.#socket.writableLength > limits.unsentStreamBytes.value)
      return;
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
