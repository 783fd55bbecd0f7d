import { UdpPort } from '../../transport/index.js';

/** The UDP port that all media shares, held for as long as the server runs. */
export class MediaPort {
  readonly udp: UdpPort;

  private constructor(udp: UdpPort) {
    this.udp = udp;
  }

  /**
   * Opens `wanted`, or a free port when that is 0, on one address of this machine or on all of them.
   *
   * @throws OffhookError `OFFHOOK_UNREACHABLE` when the port is taken or the address is not of this machine.
   */
  static async open(wanted: number, bindAddress: string | undefined): Promise<MediaPort> {
    return new MediaPort(new UdpPort(wanted, bindAddress));
  }

  get port(): number {
    return this.udp.port;
  }

  close(): Promise<void> {
    return this.udp.close();
  }
}
