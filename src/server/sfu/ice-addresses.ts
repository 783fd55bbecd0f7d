import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';

const loopback = '127.0.0.1';

/** Whether a host name or address means this machine only. */
function isLoopback(host: string): boolean {
  const address = host.replace(/^::ffff:/, '');
  return address === 'localhost' || address === '::1' || address.startsWith('127.');
}

/** The address media is bound to: loopback for a server on loopback, all (undefined) otherwise. */
export function mediaBindAddress(host: string): string | undefined {
  if (isLoopback(host)) return loopback;
  return host === '0.0.0.0' || host === '::' ? undefined : host;
}

/**
 * Host candidates (RFC 8839, section 5.1) for the one media port, the likeliest first: a client that reached us over
 * loopback is offered loopback first, others never.
 */
export function hostCandidates(
  bindAddress: string | undefined,
  port: number,
  clientAddress: string,
): string[] {
  const addresses = bindAddress === undefined ? lanAddresses() : [bindAddress];
  if (isLoopback(clientAddress) && bindAddress === undefined) addresses.unshift(loopback);
  return addresses.map((address, index) => {
    const priority = 126 * 2 ** 24 + (65_535 - index) * 2 ** 8 + 255;
    return `candidate:${index + 1} 1 udp ${priority} ${address} ${port} typ host`;
  });
}

function lanAddresses(): string[] {
  const usable = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith('fe80:'))
    .map(({ address }) => address);
  return [...usable.filter((address) => !isIPv6(address)), ...usable.filter((address) => isIPv6(address))];
}
