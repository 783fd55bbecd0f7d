import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';

const hostsPath =
  process.platform === 'win32'
    ? `${process.env.SystemRoot ?? 'C:\\Windows'}\\System32\\drivers\\etc\\hosts`
    : '/etc/hosts';

/** The addresses that the text of a hosts file (hosts(5)) gives `hostname`, in its order. */
export function findInHosts(text: string, hostname: string): string[] {
  const wanted = hostname.toLowerCase();
  const addresses: string[] = [];
  for (const line of text.split('\n')) {
    const [address, ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (!address || !isIP(address) || addresses.includes(address)) continue;
    if (names.some((name) => name.toLowerCase() === wanted)) addresses.push(address);
  }
  return addresses;
}

/**
 * The addresses that this machine's hosts file gives `hostname`. Read synchronously on purpose: asynchronous reads
 * wait for the same few threads as getaddrinfo, which may all be blocked.
 */
export function addressesInHostsFile(hostname: string): string[] {
  try {
    return findInHosts(readFileSync(hostsPath, 'utf8'), hostname);
  } catch {
    return [];
  }
}
