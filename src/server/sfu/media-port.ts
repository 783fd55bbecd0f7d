import { createSocket } from 'node:dgram';
import { setTimeout as delay } from 'node:timers/promises';
import { OffhookError } from '../../timeline/index.js';
import { PeerConnection } from '../../transport/index.js';

const freeIntervalMs = 5;
const freeTimeoutMs = 1_000;

/** The UDP port that all media shares, held for as long as the server runs. */
export class MediaPort {
  readonly port: number;
  readonly #address: string;
  /**
   * Never connected: the addon opens the port for its first peer connection and closes it after its last, and a port
   * that somebody else has taken meanwhile ends the process.
   */
  readonly #keeper: PeerConnection;

  private constructor(port: number, address: string, keeper: PeerConnection) {
    this.port = port;
    this.#address = address;
    this.#keeper = keeper;
  }

  /**
   * Opens `wanted`, or a free port when that is 0, on one address of this machine or on all of them.
   *
   * @throws OffhookError `OFFHOOK_UNREACHABLE` when the port is taken or the address is not of this machine.
   */
  static async open(wanted: number, bindAddress: string | undefined): Promise<MediaPort> {
    const address = bindAddress ?? '0.0.0.0';
    const port = await probe(wanted, address);
    const keeper = new PeerConnection({
      name: 'media port',
      udpMux: true,
      portRange: { begin: port, end: port },
      ...(bindAddress === undefined ? {} : { bindAddress }),
    });
    keeper.createDataChannel('none', { ordered: true });
    await keeper.createOffer();
    return new MediaPort(port, address, keeper);
  }

  /** Resolves when the port is free, which a thread of the addon does in its own time. */
  async close(): Promise<void> {
    this.#keeper.close();
    const giveUpMs = performance.now() + freeTimeoutMs;
    for (;;) {
      try {
        await probe(this.port, this.#address);
        return;
      } catch {
        if (performance.now() > giveUpMs) return;
        await delay(freeIntervalMs);
      }
    }
  }
}

/** Binds to a port and lets go of it; resolves with its number. */
async function probe(port: number, address: string): Promise<number> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  try {
    return await new Promise<number>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind({ port, address, exclusive: true }, () => resolve(socket.address().port));
    });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `UDP port ${port} of ${address} cannot be used for media: ${reason}`;
    throw new OffhookError('OFFHOOK_UNREACHABLE', message, {
      stage: 'server',
      host: `${address}:${port}`,
      advice: 'Choose another with --rtc-port, or stop what listens there.',
      cause,
    });
  } finally {
    await new Promise<void>((resolve) => socket.close(resolve));
  }
}
