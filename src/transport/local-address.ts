import { createSocket } from 'node:dgram';
import { closeSync, openSync } from 'node:fs';
import { isIP, isIPv4 } from 'node:net';
import { devNull, networkInterfaces } from 'node:os';
import { OffhookError } from '../timeline/index.js';
import type { TransportAddress } from './stun.js';

export const familyOf = (address: string): 4 | 6 => (isIPv4(address) ? 4 : 6);

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

/** An ICE agent's socket, and the pipe that wakes the thread which serves all of them. */
const descriptorsNeeded = 3;

/**
 * Makes sure that the addon can have a socket on `address` (any without it): it ends the process when it cannot.
 *
 * @throws OffhookError `OFFHOOK_TRANSPORT` when the address is not this machine's, or no descriptor is left.
 */
export function assertSocketPossible(address: string | undefined): void {
  if (address !== undefined && !isOwnAddress(address)) {
    throw new OffhookError('OFFHOOK_TRANSPORT', `${address} is no address of this machine`);
  }
  const descriptors: number[] = [];
  try {
    while (descriptors.length < descriptorsNeeded) descriptors.push(openSync(devNull, 'r'));
  } catch (cause) {
    throw new OffhookError('OFFHOOK_TRANSPORT', 'no file descriptor is left for a connection', { cause });
  } finally {
    for (const descriptor of descriptors) closeSync(descriptor);
  }
}

function isOwnAddress(address: string): boolean {
  if (address === '0.0.0.0' || address === '::' || address === '::1' || /^127\./.test(address))
    return isIP(address) > 0;
  return Object.values(networkInterfaces()).some((entries) =>
    entries?.some((entry) => entry.address === address),
  );
}
