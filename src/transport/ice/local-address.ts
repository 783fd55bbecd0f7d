import { createSocket } from 'node:dgram';
import { isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { TransportAddress } from './stun.js';

export const familyOf = (address: string): 4 | 6 => (isIPv4(address) ? 4 : 6);

/** An address of no network (RFC 5737, RFC 3849): the way to it is the default route. */
const elsewhere = { 4: '192.0.2.1', 6: '2001:db8::1' };

/**
 * Addresses of this machine that others may reach, neither loopback nor link-local; that of the default route comes first.
 */
export function localAddresses(family: 4 | 6): string[] {
  const usual = localAddressTowards({ address: elsewhere[family], port: 9 });
  return Object.values(networkInterfaces())
    .flatMap((entries) => entries ?? [])
    .filter(
      (entry) => entry.family === `IPv${family}` && !entry.internal && !entry.address.startsWith('fe80:'),
    )
    .map(({ address }) => address)
    .sort((a, b) => Number(b === usual) - Number(a === usual));
}

/** The address from which the system would send to `remote`; undefined when there is no route. Nothing is sent. */
export function localAddressTowards(remote: TransportAddress): string | undefined {
  const family = familyOf(remote.address);
  const socket = createSocket({
    type: family === 4 ? 'udp4' : 'udp6',
    // Addresses only: the socket is connected when `connect` returns.
    lookup: (address, _, found) => found(null, address, family),
  });
  socket.on('error', () => {});
  try {
    socket.connect(remote.port, remote.address);
    const { address } = socket.address();
    return address === '0.0.0.0' || address === '::' ? undefined : address;
  } catch {
    return undefined;
  } finally {
    try {
      socket.close();
    } catch {
      // It never opened.
    }
  }
}
