import { createSocket, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { OffhookError } from '../../errors/index.js';
import { createLogger } from '../../logging/index.js';

const log = createLogger('sip/media');

export interface RtpAddress {
  address: string;
  port: number;
}

export interface PortRange {
  from: number;
  to: number;
}

const anyPort: PortRange = { from: 20_000, to: 39_998 };
const maxAttempts = 40;
const receiveBufferBytes = 256 * 1024;
let nextOffset = Math.floor(Math.random() * 5_000) * 2;

/** The two UDP sockets of one call: RTP on an even port, RTCP on the next (RFC 3550, section 11). */
export class RtpSocket {
  readonly port: number;
  onRtp: (packet: Buffer, from: RtpAddress) => void = () => {};
  onRtcp: (packet: Buffer, from: RtpAddress) => void = () => {};
  readonly #rtp: Socket;
  readonly #rtcp: Socket;
  #closed = false;

  private constructor(rtp: Socket, rtcp: Socket) {
    this.#rtp = rtp;
    this.#rtcp = rtcp;
    this.port = rtp.address().port;
    rtp.on('message', (packet, from) => this.onRtp(packet, from));
    rtcp.on('message', (packet, from) => this.onRtcp(packet, from));
    for (const socket of [rtp, rtcp]) socket.on('error', (error) => log.debug(`RTP: ${error.message}`));
  }

  /** @throws OffhookError `OFFHOOK_UNREACHABLE` when no pair of ports is free */
  static async open(host: string, range: PortRange = anyPort): Promise<RtpSocket> {
    const first = range.from + (range.from & 1);
    const pairs = Math.floor((range.to - first + 1) / 2);
    let cause: unknown;
    for (let attempt = 0; attempt < Math.min(maxAttempts, pairs); attempt++) {
      nextOffset += 2;
      const port = first + (nextOffset % (pairs * 2));
      const rtp = await bind(host, port).catch((error: unknown) => {
        cause = error;
      });
      if (!rtp) continue;
      const rtcp = await bind(host, port + 1).catch((error: unknown) => {
        cause = error;
      });
      if (rtcp) return new RtpSocket(rtp, rtcp);
      rtp.close();
    }
    throw new OffhookError(
      'OFFHOOK_UNREACHABLE',
      `no two neighbouring UDP ports are free between ${range.from} and ${range.to}`,
      {
        cause,
        advice: 'Give a wider range with --sip-media-ports.',
      },
    );
  }

  get rtcpPort(): number {
    return this.port + 1;
  }

  /** Runs for every packet that is sent. */
  sendRtp(packet: Buffer, to: RtpAddress): void {
    if (!this.#closed) this.#rtp.send(packet, to.port, to.address, ignoreError);
  }

  sendRtcp(packet: Buffer, to: RtpAddress): void {
    if (!this.#closed) this.#rtcp.send(packet, to.port, to.address, ignoreError);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#rtp.close();
    this.#rtcp.close();
  }
}

/** A peer that has gone answers with ICMP errors; the time without media is what ends the call. */
const ignoreError = (): void => {};

function bind(host: string, port: number): Promise<Socket> {
  const family = isIPv6(host) ? 6 : 4;
  const socket = createSocket({
    type: family === 6 ? 'udp6' : 'udp4',
    recvBufferSize: receiveBufferBytes,
    // Addresses only: without it each packet asks the resolver.
    lookup: (address, _, found) => found(null, address, family),
  });
  return new Promise((resolve, reject) => {
    socket.once('error', (error) => {
      socket.close();
      reject(error);
    });
    socket.bind(port, host, () => {
      socket.removeAllListeners('error');
      resolve(socket);
    });
  });
}
