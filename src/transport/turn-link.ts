import { createSocket } from 'node:dgram';
import { connect, isIP, isIPv6 } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { OffhookError } from '../timeline/index.js';
import type { TurnServer } from './ice.js';
import type { IcePath } from './ice-agent.js';
import type { IceLink, PacketListener } from './ice-link.js';
import type { TransportAddress } from './stun.js';
import { TurnClient } from './turn-client.js';

interface Carrier {
  send(message: Buffer): void;
  close(): void;
}

const maxQueuedBytes = 64 * 1024;

/** A connection to a TURN server, over UDP, TCP or TLS. */
export class TurnLink implements IceLink {
  #carrier: Carrier;
  #client: TurnClient;
  #closed = false;

  /** @param onLost called once when there are no more packets, unless it was closed from here */
  constructor(server: TurnServer, onPacket: PacketListener, onLost: (error: OffhookError) => void) {
    const { username, credential, hostname, port, transport } = server;
    this.#client = new TurnClient({
      username,
      credential,
      lossy: transport === 'udp',
      onPacket,
      onLost,
      send: (message) => this.#carrier.send(message),
    });
    const onEnd = (cause: Error | undefined) => {
      if (this.#closed) return;
      const why = cause?.message ?? 'the server closed it';
      const what = `TURN connection to ${hostname}:${port} ended: ${why}`;
      const error = new OffhookError('OFFHOOK_TRANSPORT', what, { cause });
      this.#client.close(error);
      onLost(error);
    };
    const receive = (message: Buffer) => this.#client.receive(message);
    this.#carrier = transport === 'udp' ? datagrams(server, receive) : stream(server, receive, onEnd);
  }

  /** @throws OffhookError as `TurnClient.allocate` does, or when the connection fails. */
  allocate(): Promise<TransportAddress> {
    return this.#client.allocate();
  }

  pathTo(remote: TransportAddress): IcePath {
    return this.#client.pathTo(remote);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#client.close();
    this.#carrier.close();
  }
}

function datagrams({ hostname, port }: TurnServer, receive: (message: Buffer) => void): Carrier {
  const socket = createSocket(isIPv6(hostname) ? 'udp6' : 'udp4');
  // A server that cannot be reached shows in requests that are not answered.
  socket.on('error', () => {});
  socket.on('message', receive);
  socket.unref();
  return {
    send: (message) => socket.send(message, port, hostname, () => {}),
    close: () => socket.close(),
  };
}

function stream(
  { hostname: host, port, transport }: TurnServer,
  receive: (message: Buffer) => void,
  onEnd: (cause: Error | undefined) => void,
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
      if (socket.writableLength <= maxQueuedBytes) socket.write(message);
    },
    close: () => socket.destroySoon(),
  };
}

/** Length of the message that begins here: STUN has a header of 20 bytes, channel data one of 4 and padding. */
function messageBytes(received: Buffer): number {
  const bytes = received.readUInt16BE(2);
  return received[0]! < 0x40 ? 20 + bytes : 4 + ((bytes + 3) & ~3);
}
