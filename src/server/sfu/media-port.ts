import { createSocket } from 'node:dgram';
import { OffhookError } from '../../timeline/index.js';

/**
 * Finds the UDP port that all media is to share: `wanted`, or a free one when that is 0.
 *
 * @throws OffhookError `OFFHOOK_UNREACHABLE` when the port is taken or the address is not of this machine.
 */
export async function claimMediaPort(wanted: number, bindAddress: string | undefined): Promise<number> {
  const address = bindAddress ?? '0.0.0.0';
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  try {
    return await new Promise<number>((resolve, reject) => {
      socket.once('error', reject);
      // The addon opens the port when the first client comes; a port that is taken is to be told of now.
      socket.bind({ port: wanted, address, exclusive: true }, () => resolve(socket.address().port));
    });
  } catch (cause) {
    throw new OffhookError(
      'OFFHOOK_UNREACHABLE',
      `UDP port ${wanted} of ${address} cannot be used for media`,
      {
        stage: 'server',
        host: `${address}:${wanted}`,
        advice: 'Choose another with --rtc-port, or stop what listens there.',
        cause,
      },
    );
  } finally {
    await new Promise<void>((resolve) => socket.close(resolve));
  }
}
