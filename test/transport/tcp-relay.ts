import { createSocket } from 'node:dgram';
import { type AddressInfo, createServer, type Socket } from 'node:net';

export interface TcpRelay {
  /** The candidate that leads here (RFC 6544, passive). */
  candidate: string;
  connections: number;
  /** Ends the connections that there are. */
  cut(): void;
  close(): void;
}

/** Takes ICE-TCP connections (framed as RFC 4571 says) and carries their packets to a UDP port, and back. */
export async function startTcpRelay(udpPort: number): Promise<TcpRelay> {
  const sockets = new Set<Socket>();
  const relay = { candidate: '', connections: 0, cut, close };
  const server = createServer((tcp) => {
    relay.connections++;
    sockets.add(tcp);
    const udp = createSocket('udp4');
    let received: Buffer = Buffer.alloc(0);
    tcp.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const end = 2 + received.readUInt16BE(0);
        udp.send(received.subarray(2, end), udpPort, '127.0.0.1');
        received = received.subarray(end);
      }
    });
    udp.on('message', (packet) => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(packet.length);
      tcp.write(Buffer.concat([length, packet]));
    });
    tcp.on('error', () => {});
    tcp.once('close', () => {
      sockets.delete(tcp);
      udp.close();
    });
  });
  function cut() {
    for (const socket of sockets) socket.destroy();
  }
  function close() {
    cut();
    server.close();
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  relay.candidate = `candidate:1 1 tcp 1671430143 127.0.0.1 ${port} typ host tcptype passive`;
  return relay;
}
