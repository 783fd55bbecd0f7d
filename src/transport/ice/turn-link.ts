import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns';
import { connect, isIP, isIPv6 } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { promisify } from 'node:util';
import { describeError, OffhookError } from '../../errors/index.js';
import { limits } from '../../limits.js';
import type { IcePath } from './ice-agent.js';
import type { TurnServer } from './ice-servers.js';
import type { TransportAddress } from './stun.js';
import { TurnClient } from './turn-client.js';
import type { IceLink, PacketListener } from './udp-link.js';

interface Carrier {
  send(message: Buffer): void;
  close(): void;
}

interface CarrierListener {
  receive(message: Buffer): void;
  onEnd(cause: Error | undefined): void;
}

const lookupAddress = promisify(lookup);

/** A connection to a TURN server, over UDP, TCP or TLS. */
export class TurnLink implements IceLink {
  #server: TurnServer;
  #carrier: Carrier | undefined;
  #client: TurnClient;
  #onLost: (error: OffhookError) => void;
  #closed = false;

  /** @param onLost called once when there are no more packets, unless it was closed from here */
  constructor(server: TurnServer, onPacket: PacketListener, onLost: (error: OffhookError) => void) {
    const { username, credential, transport } = server;
    this.#server = server;
    this.#onLost = onLost;
    this.#client = new TurnClient({
      username,
      credential,
      lossy: transport === 'udp',
      onPacket,
      onLost,
      send: (message) => this.#carrier?.send(message),
    });
  }

  /** @throws OffhookError as `TurnClient.allocate` does, or when the server's name is unknown or the connection fails */
  async allocate(): Promise<TransportAddress> {
    const { hostname, transport } = this.#server;
    const listener: CarrierListener = {
      receive: (message) => this.#client.receive(message),
      onEnd: (cause) => this.#onEnd(cause),
    };
    if (transport === 'udp') {
      // Once for all packets.
      const { address } = await lookupAddress(hostname).catch((cause: unknown) => {
        throw new OffhookError('OFFHOOK_TRANSPORT', `no address for ${hostname}: ${describeError(cause)}`, {
          cause,
        });
      });
      if (this.#closed) throw new OffhookError('OFFHOOK_CLOSED', 'the TURN connection was closed');
      this.#carrier = datagrams(address, this.#server.port, listener);
    } else this.#carrier = stream(this.#server, listener);
    return this.#client.allocate();
  }

  pathTo(remote: TransportAddress): IcePath {
    return this.#client.pathTo(remote);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#client.close();
    this.#carrier?.close();
  }

  #onEnd(cause: Error | undefined): void {
    if (this.#closed) return;
    const { hostname, port } = this.#server;
    const reason = cause?.message ?? 'the server closed it';
    const error = new OffhookError(
      'OFFHOOK_TRANSPORT',
      `TURN connection to ${hostname}:${port} ended: ${reason}`,
      { cause },
    );
    this.#client.close(error);
    this.#onLost(error);
  }
}

/** A socket that is connected: the system takes datagrams from nobody but the server. */
function datagrams(address: string, port: number, { receive }: CarrierListener): Carrier {
  const family = isIPv6(address) ? 6 : 4;
  const socket = createSocket({
    type: family === 4 ? 'udp4' : 'udp6',
    // An address, which is connected to when `connect` returns: the last packet leaves before the socket closes.
    lookup: (_, __, found) => found(null, address, family),
  });
  // A server that cannot be reached shows in requests that are not answered.
  socket.on('error', () => {});
  socket.on('message', receive);
  socket.connect(port, address);
  socket.unref();
  let closed = false;
  return {
    send: (message) => {
      if (!closed) socket.send(message, () => {});
    },
    close: () => {
      closed = true;
      socket.close();
    },
  };
}

function stream(
  { hostname: host, port, transport }: TurnServer,
  { receive, onEnd }: CarrierListener,
): Carrier {
  const options = { host, port, noDelay: true, ...(isIP(host) ? {} : { servername: host }) };
  const socket = transport === 'tls' ? connectTls(options) : connect(options);
  let received: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    while (received.length >= 4) {
      const bytes = messageBytes(received);
      if (received.length < bytes) return;
      receive(received.subarray(0, bytes));
      received = received.subarray(bytes);
    }
  });
  let cause: Error | undefined;
  socket.on('error', (error) => {
    cause = error;
  });
  socket.once('close', () => onEnd(cause));
  socket.unref();
  return {
    send: (message) => {
      if (socket.writableLength <= limits.unsentStreamBytes.value) socket.write(message);
    },
    close: () => socket.destroySoon(),
  };
}

/** Length of the message that begins here: STUN has a header of 20 bytes, channel data one of 4 and padding. */
function messageBytes(received: Buffer): number {
  const bytes = received.readUInt16BE(2);
  return received[0]! < 0x40 ? 20 + bytes : 4 + ((bytes + 3) & ~3);
}
