import { createSocket, type Socket } from 'node:dgram';
import { parseRtcp, parseRtp, type RtcpPacket, type RtpPacket, serializeRtp } from '../../src/rtp/index.js';

/** The two UDP sockets of a simple telephone, on ports that follow one another, and all that comes to them. */
export class RtpPeer {
  /** Packets as they came. */
  readonly received: Buffer[] = [];
  readonly receivedRtcp: { atMs: number; packet: Buffer }[] = [];
  readonly ssrc: number;
  readonly payloadType: number;
  /** Where it sends to. */
  remote = { port: 0, rtcpPort: 0 };
  /** Soon begins again at 0. */
  #sequenceNumber = 65_500;
  #timestamp = 7_000;
  #timer: NodeJS.Timeout | undefined;
  readonly #rtp: Socket;
  readonly #rtcp: Socket;

  private constructor(rtp: Socket, rtcp: Socket, ssrc: number, payloadType: number) {
    this.#rtp = rtp;
    this.#rtcp = rtcp;
    this.ssrc = ssrc;
    this.payloadType = payloadType;
    rtp.on('message', (packet) => this.received.push(packet));
    rtcp.on('message', (packet) => this.receivedRtcp.push({ atMs: performance.now(), packet }));
  }

  static async open({ ssrc = 7, payloadType = 0 } = {}): Promise<RtpPeer> {
    for (;;) {
      const rtp = await bind(0);
      const { port } = rtp!.address();
      const rtcp = port % 2 === 0 ? await bind(port + 1) : undefined;
      if (rtcp) return new RtpPeer(rtp!, rtcp, ssrc, payloadType);
      rtp!.close();
    }
  }

  get port(): number {
    return this.#rtp.address().port;
  }

  get packets(): RtpPacket[] {
    return this.received.flatMap((packet) => parseRtp(packet) ?? []);
  }

  get reports(): { atMs: number; report: RtcpPacket }[] {
    return this.receivedRtcp.flatMap(({ atMs, packet }) =>
      parseRtcp(packet).map((report) => ({ atMs, report })),
    );
  }

  /** What it offers. */
  sdp(rtpmap: string[] = []): string {
    return [
      ...['v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', 'c=IN IP4 127.0.0.1', 't=0 0'],
      `m=audio ${this.port} RTP/AVP ${this.payloadType}`,
      ...rtpmap,
      '',
    ].join('\r\n');
  }

  /** Sends from now on to where an answer says. */
  follow(answer: Buffer): void {
    const port = Number(/m=audio (\d+)/.exec(answer.toString())![1]);
    this.remote = { port, rtcpPort: port + 1 };
  }

  /** The number of the next packet. */
  get nextSequenceNumber(): number {
    return this.#sequenceNumber;
  }

  /** Sends 20 ms of a codec whose clock counts 8,000 a second; `isLost` only counts them. */
  say(payload: Uint8Array, isLost = false): void {
    const { ssrc, payloadType } = this;
    const header = {
      ...{ payloadType, marker: false, ssrc },
      sequenceNumber: this.#sequenceNumber,
      timestamp: this.#timestamp,
    };
    this.#sequenceNumber = (this.#sequenceNumber + 1) & 0xffff;
    this.#timestamp += 160;
    if (!isLost) this.#rtp.send(serializeRtp(header, payload), this.remote.port, '127.0.0.1');
  }

  sayRtcp(packet: Buffer): void {
    this.#rtcp.send(packet, this.remote.rtcpPort, '127.0.0.1');
  }

  /** Says `next()` every 20 ms, as many as are due, so that the pace holds on a busy machine. */
  keepSaying(next: () => Uint8Array, isLost: (index: number) => boolean = () => false): void {
    const startMs = performance.now();
    let said = 0;
    this.#timer = setInterval(() => {
      for (; said * 20 <= performance.now() - startMs; said++) this.say(next(), isLost(said));
    }, 10);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#rtp.close();
    this.#rtcp.close();
  }
}

function bind(port: number): Promise<Socket | undefined> {
  const socket = createSocket('udp4');
  return new Promise((resolve) => {
    socket.once('error', () => resolve(undefined));
    socket.bind(port, '127.0.0.1', () => resolve(socket));
  });
}
