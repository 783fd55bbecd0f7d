import { createSocket } from 'node:dgram';
import { networkInterfaces } from 'node:os';
import type { TransportAddress } from './stun.js';

/** Addresses of this machine that others may reach: neither loopback nor link-local. */
export function localAddresses(family: 4 | 6): string[] {
  return Object.values(networkInterfaces())
    .flatMap((entries) => entries ?? [])
    .filter(
      (entry) => entry.family === `IPv${family}` && !entry.internal && !entry.address.startsWith('fe80:'),
    )
    .map(({ address }) => address);
}

/** The address from which the system would send to `remote`; undefined when there is no route. Nothing is sent. */
export function localAddressTowards(remote: TransportAddress, family: 4 | 6): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(family === 4 ? 'udp4' : 'udp6');
    const settle = (address: string | undefined) => {
      socket.close();
      resolve(address);
    };
    socket.once('error', () => settle(undefined));
    socket.connect(remote.port, remote.address, () => settle(socket.address().address));
  });
}
