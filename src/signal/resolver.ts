import { lookup, Resolver } from 'node:dns/promises';
import { OffhookError } from '../errors/index.js';
import { addressesInHostsFile } from './hosts-file.js';

/** One try at a name server; the deadline of the stage bounds all of them. */
const tryMs = 1_000;
const tries = 3;
/** How long an IPv4 answer waits for the IPv6 one (RFC 8305 section 3, Resolution Delay). */
const resolutionDelayMs = 50;
/** How long the name servers may keep silent before the system's resolver is asked too. */
const systemLookupAfterMs = 1_000;
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
        'Check the spelling of the host; if it is new, its DNS record may not be published yet.',
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
    options.found(held);
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
      options.found(addresses);
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
 * for names that these do not know or keep silent about, the system's resolver.
 *
 * @returns when no further addresses will be found
 * @throws OffhookError of stage `dns` when none was, or the reason of `signal`, which cancels the questions
 */
export async function resolveHost(hostname: string, options: ResolveOptions): Promise<void> {
  const { signal } = options;
  let count = 0;
  const found = (addresses: string[]) => {
    count += addresses.length;
    if (addresses.length > 0 && !signal.aborted) options.found(addresses);
  };
  found(knownAddresses(hostname));
  if (count > 0) return;

  let system: Promise<void> | undefined;
  const askSystem = (): Promise<void> => (system ??= systemLookup(hostname).then(found));
  const resolver = new Resolver({ timeout: tryMs, tries });
  if (options.servers) resolver.setServers(options.servers);
  const cancel = () => resolver.cancel();
  signal.addEventListener('abort', cancel, { once: true });
  const timer = setTimeout(() => count === 0 && void askSystem(), systemLookupAfterMs);
  try {
    const codes = await askNameServers(resolver, hostname, { ...options, found });
    signal.throwIfAborted();
    if (count === 0) await askSystem();
    signal.throwIfAborted();
    if (count === 0) throw unresolved(hostname, codes);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', cancel);
  }
}
