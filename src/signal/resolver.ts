import { lookup, Resolver } from 'node:dns/promises';
import { OffhookError } from '../timeline/index.js';
import { addressesInHostsFile } from './hosts-file.js';

/** One try at a name server; the deadline of the stage bounds all of them. */
const tryMs = 1_000;
const tries = 3;
/** How long an IPv4 answer waits for the IPv6 one (RFC 8305 section 3, Resolution Delay). */
const resolutionDelayMs = 50;
/** getaddrinfo occupies a thread of libuv's four for as long as it blocks: never more than half of them. */
const maxSystemLookups = 2;

const systemLookups = new Map<string, Promise<string[]>>();

export interface ResolveOptions {
  signal: AbortSignal;
  /** Called with addresses as they become known: once or more before the promise resolves. */
  found(addresses: string[]): void;
  /** Name servers in place of the system's, as `address` or `address:port`. */
  servers?: readonly string[];
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}

function unresolved(hostname: string, codes: readonly string[]): OffhookError {
  const silent = codes.every((code) => code === 'ETIMEOUT' || code === 'ECANCELLED');
  const [says, advice] = silent
    ? [
        'the name servers do not answer',
        'Check the name servers of this machine and that UDP port 53 is open.',
      ]
    : [
        'the name is not known',
        'Check the spelling of the host; if it is new, its DNS record may not be there yet.',
      ];
  return new OffhookError('OFFHOOK_UNREACHABLE', `${hostname}: ${says} (${[...new Set(codes)].join(', ')})`, {
    stage: 'dns',
    host: hostname,
    advice,
  });
}

/**
 * The system's own resolution (nsswitch, search domains, mDNS), for names that the name servers do not know. Shared by
 * all who ask for the same name; refused while too many of them block.
 */
function systemLookup(hostname: string): Promise<string[]> {
  const pending = systemLookups.get(hostname);
  if (pending) return pending;
  if (systemLookups.size >= maxSystemLookups) return Promise.resolve([]);
  const started = lookup(hostname, { all: true, verbatim: true })
    .then((found) => found.map(({ address }) => address))
    .catch(() => [])
    .finally(() => systemLookups.delete(hostname));
  systemLookups.set(hostname, started);
  return started;
}

/** Addresses that need no question: those of the hosts file, and of localhost (RFC 6761). */
function knownAddresses(hostname: string): string[] {
  const listed = addressesInHostsFile(hostname);
  if (listed.length > 0) return listed;
  return /^(.*\.)?localhost\.?$/i.test(hostname) ? ['127.0.0.1', '::1'] : [];
}

/** Asks the name servers for both families at once; IPv4 addresses are held back a moment for the IPv6 ones. */
async function askNameServers(
  resolver: Resolver,
  hostname: string,
  options: ResolveOptions,
): Promise<string[]> {
  const codes: string[] = [];
  let held: string[] = [];
  let timer: NodeJS.Timeout | undefined;
  const release = () => {
    clearTimeout(timer);
    if (held.length > 0 && !options.signal.aborted) options.found(held);
    held = [];
  };
  const fail = (error: unknown): string[] => {
    codes.push(codeOf(error));
    return [];
  };
  const v6 = resolver.resolve6(hostname).catch(fail);
  const v4 = resolver.resolve4(hostname).catch(fail);
  let v6IsThere = false;
  await Promise.all([
    v6.then((addresses) => {
      v6IsThere = true;
      if (addresses.length > 0 && !options.signal.aborted) options.found(addresses);
      release();
    }),
    v4.then((addresses) => {
      held = addresses;
      if (v6IsThere) release();
      else timer = setTimeout(release, resolutionDelayMs);
    }),
  ]);
  clearTimeout(timer);
  return codes;
}

/**
 * Resolves a host name without letting getaddrinfo hold anything up: hosts file, then the name servers directly, then,
 * for names that these do not know, the system's resolver.
 *
 * @returns when no further addresses will be found
 * @throws OffhookError of stage `dns` when none was, or the reason of `signal`, which cancels the questions
 */
export async function resolveHost(hostname: string, options: ResolveOptions): Promise<void> {
  const { signal, found } = options;
  const known = knownAddresses(hostname);
  if (known.length > 0) {
    found(known);
    return;
  }
  const resolver = new Resolver({ timeout: tryMs, tries });
  if (options.servers) resolver.setServers(options.servers);
  const cancel = () => resolver.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  try {
    let count = 0;
    const counting = {
      ...options,
      found: (addresses: string[]) => {
        count += addresses.length;
        found(addresses);
      },
    };
    const codes = await askNameServers(resolver, hostname, counting);
    signal.throwIfAborted();
    if (count > 0) return;
    const answered = codes.some((code) => code !== 'ETIMEOUT');
    const addresses = answered ? await systemLookup(hostname) : [];
    signal.throwIfAborted();
    if (addresses.length === 0) throw unresolved(hostname, codes);
    found(addresses);
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}
