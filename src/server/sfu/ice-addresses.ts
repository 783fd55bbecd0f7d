import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { type Certificate, hostCandidate, type UdpPort } from '../../transport/index.js';

/** Where the media of every peer connection of the server goes through, and what it is secured with. */
export interface MediaEndpoint {
  /** The UDP port that all peer connections share. */
  udp: UdpPort;
  certificate: Certificate;
}

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
 * Host candidates for the one media port, the likeliest first: a client that reached us over loopback is offered loopback
 * first, others never.
 */
export function hostCandidates({ port, bindAddress, hasIPv6 }: UdpPort, clientAddress: string): string[] {
  const addresses =
    bindAddress === undefined
      ? lanAddresses().filter((address) => hasIPv6 || !isIPv6(address))
      : [bindAddress];
  if (isLoopback(clientAddress) && bindAddress === undefined) addresses.unshift(loopback);
  return addresses.map((address, index) => hostCandidate({ address, port }, index));
}

function lanAddresses(): string[] {
  const usable = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith('fe80:'))
    .map(({ address }) => address);
  return [...usable.filter((address) => !isIPv6(address)), ...usable.filter((address) => isIPv6(address))];
}
