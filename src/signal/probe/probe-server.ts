import { isIP } from 'node:net';
import { openPlain } from '../connection.js';
import { openTcp } from '../happy-eyeballs.js';
import { addressesInHostsFile } from '../hosts-file.js';
import { proxyFor } from '../proxy.js';
import { resolveHost } from '../resolver.js';
import { hostnameOf, hostOf, isSecure, parseServerUrl, portOf } from '../server-url.js';
import { probeDns } from './probe-dns.js';
import { probeHttp, probeJoin, probeValidate } from './probe-join.js';
import { connectionFor, findingOf, type ProbeOptions, type ProbeStep, probeStep } from './probe-step.js';
import { probeTls } from './probe-tls.js';

/** DNS for each family, and the system's own resolver for names that the name servers do not know. */
async function* probeNames(
  hostname: string,
  options: ProbeOptions,
  found: (addresses: string[]) => void,
): AsyncGenerator<ProbeStep> {
  let count = 0;
  const counting = (addresses: string[]) => {
    count += addresses.length;
    found(addresses);
  };
  for (const family of [4, 6] as const) {
    yield probeStep(`DNS, IPv${family}`, () => probeDns(hostname, family, options, counting));
  }
  if (count > 0) return;
  yield probeStep('DNS, all ways', async () => {
    const { signal, nameServers: servers } = options;
    await resolveHost(hostname, { signal, servers, found: counting });
    return { outcome: 'ok', says: `the system's resolver knows ${hostname}` };
  });
}

/** TCP to each address. One that does not answer is only worth a warning while another one does. */
async function probeAddresses(
  addresses: readonly string[],
  port: number,
  options: ProbeOptions,
): Promise<ProbeStep[]> {
  const steps = await Promise.all(
    addresses.map((address) =>
      probeStep(`TCP to ${address}`, async () => {
        const socket = await openTcp({ hostname: address, port }, connectionFor(options));
        socket.destroy();
        return { outcome: 'ok', says: `port ${port} accepts connections` };
      }),
    ),
  );
  if (steps.every(({ outcome }) => outcome === 'failed')) return steps;
  return steps.map((step) => (step.outcome === 'failed' ? { ...step, outcome: 'warning' } : step));
}

/** The way to the server: through a proxy, which resolves names itself, or DNS and TCP. */
async function* probeNetwork(server: URL, options: ProbeOptions): AsyncGenerator<ProbeStep> {
  const proxy = proxyFor(server);
  if (proxy) {
    const step = await probeStep('proxy', async () => {
      const socket = await openPlain(server, connectionFor(options));
      socket.destroy();
      return {
        outcome: 'ok',
        says: `${hostOf(proxy)}, which the environment names, connects to ${hostOf(server)}`,
      };
    });
    yield step;
    return;
  }
  const hostname = hostnameOf(server);
  const addresses = isIP(hostname) ? [hostname] : addressesInHostsFile(hostname);
  if (addresses.length === 0) yield* probeNames(hostname, options, (found) => addresses.push(...found));
  yield* await probeAddresses(addresses, portOf(server), options);
}

/**
 * Looks at each part of reaching a server on its own, none of them raced, in the order in which connecting needs them:
 * for diagnosis. With a token, it joins its room for a moment, under its identity.
 */
export async function* probeServer(url: string, options: ProbeOptions): AsyncGenerator<ProbeStep> {
  let server: URL;
  try {
    server = parseServerUrl(url);
    proxyFor(server);
  } catch (error) {
    yield { name: 'URL', ...findingOf(error), elapsedMs: 0 };
    return;
  }
  let isReached = false;
  for await (const step of probeNetwork(server, options)) {
    isReached ||= step.outcome === 'ok' && !step.name.startsWith('DNS');
    yield step;
  }
  if (!isReached) return;
  if (isSecure(server)) {
    const step = await probeStep('TLS', () => probeTls(server, options));
    yield step;
    if (step.outcome === 'failed') return;
  }
  const { token } = options;
  if (token === undefined) {
    yield probeStep('HTTP', () => probeHttp(server, options));
    return;
  }
  const validated = await probeStep('token', () => probeValidate(server, token, options));
  yield validated;
  if (validated.outcome !== 'failed') yield* await probeJoin(server, token, options);
}
