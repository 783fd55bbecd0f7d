import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { OffhookError } from '../timeline/index.js';
import type { TurnServer } from './ice.js';
import type { IcePath } from './ice-agent.js';
import type { IceLink, PacketListener } from './ice-link.js';
import type { TransportAddress } from './stun.js';
import { TurnClient } from './turn-client.js';

const maxQueuedBytes = 64 * 1024;

/** A TURN server that is reached over TCP or TLS, which the addon does not speak. */
export class TurnLink implements IceLink {
  #socket: Socket;
  #client: TurnClient;
  #received: Buffer = Buffer.alloc(0);
  #closed = false;

  /** @param onLost called once when there are no more packets, unless it was closed from here */
  constructor(server: TurnServer, onPacket: PacketListener, onLost: (error: OffhookError) => void) {
    const { hostname: host, port, username, credential, transport } = server;
    const options = { host, port, noDelay: true, ...(isIP(host) ? {} : { servername: host }) };
    this.#socket = transport === 'tls' ? connectTls(options) : connect(options);
    this.#socket.unref();
    this.#client = new TurnClient({
      username,
      credential,
      onPacket,
      onLost,
      send: (message) => {
        if (this.#socket.writableLength <= maxQueuedBytes) this.#socket.write(message);
      },
    });
    this.#socket.on('data', (chunk) => this.#receive(chunk));
    let cause: Error | undefined;
    this.#socket.on('error', (error) => {
      cause = error;
    });
    this.#socket.once('close', () => {
      if (this.#closed) return;
      const why = cause?.message ?? 'the server closed it';
      const error = new OffhookError(
        'OFFHOOK_TRANSPORT',
        `TURN connection to ${host}:${port} ended: ${why}`,
        { cause },
      );
      this.#client.close(error);
      onLost(error);
    });
  }

  /** @throws OffhookError as `TurnClient.allocate` does, or when the connection fails. */
  allocate(): Promise<TransportAddress> {
    return this.#client.allocate();
  }

  pathTo(remote: TransportAddress): IcePath {
    return this.#client.pathTo(remote);
  }

  close(): void {
    this.#closed = true;
    this.#client.close();
    this.#socket.destroySoon();
  }

  #receive(chunk: Buffer): void {
    this.#received = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    while (this.#received.length >= 4) {
      const bytes = messageBytes(this.#received);
      if (this.#received.length < bytes) return;
      const message = this.#received.subarray(0, bytes);
      this.#received = this.#received.subarray(bytes);
      this.#client.receive(message);
    }
  }
}

/** Length of the message that begins here: STUN has a header of 20 bytes, channel data one of 4 and padding. */
function messageBytes(received: Buffer): number {
  const bytes = received.readUInt16BE(2);
  return received[0]! < 0x40 ? 20 + bytes : 4 + ((bytes + 3) & ~3);
}
