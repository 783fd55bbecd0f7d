import dns, { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { withDeadline } from '../../deadlines/index.js';
import { OffhookError } from '../../errors/index.js';
import { limits } from '../limits.js';
import type { SipUri } from '../message/index.js';
import type { SipProtocol, SipTarget } from './flow.js';

const dnsTimeoutMs = 3_000;
const defaultPort: Record<SipProtocol, number> = { udp: 5060, tcp: 5060, tls: 5061 };

/** The protocol that a URI names, or the usual one. */
export function protocolOf(uri: SipUri): SipProtocol {
  return namedProtocol(uri) ?? 'udp';
}

function namedProtocol(uri: SipUri): SipProtocol | undefined {
  if (uri.scheme === 'sips') return 'tls';
  const named = uri.params.get('transport')?.toLowerCase();
  return named === 'udp' || named === 'tcp' || named === 'tls' ? named : undefined;
}

/**
 * Where a request to `uri` goes, best first (RFC 3263): the address that it names, or what DNS says about its domain,
 * SRV records before addresses. Where nobody names a protocol, those of UDP come before those of TCP.
 *
 * @param chosen protocol in place of the URI's
 * @throws OffhookError `OFFHOOK_UNREACHABLE`, `OFFHOOK_DEADLINE`
 */
export async function resolveTarget(uri: SipUri, chosen?: SipProtocol): Promise<SipTarget[]> {
  const { host, port } = uri;
  const named = chosen ?? namedProtocol(uri);
  const target = (address: string, at: number | undefined, protocol = named ?? 'udp'): SipTarget => ({
    protocol,
    address,
    port: at ?? defaultPort[protocol],
    ...(protocol === 'tls' && isIP(host) === 0 ? { serverName: host } : {}),
  });
  if (isIP(host) !== 0) return [target(host, port)];
  return withDeadline(
    { stage: 'dns', timeoutMs: dnsTimeoutMs, host, what: `no address for ${host}` },
    async () => {
      const protocols: SipProtocol[] = named ? [named] : ['udp', 'tcp'];
      // By the module's own name, so that servers which the program sets are asked.
      for (const protocol of port === undefined ? protocols : []) {
        const services = await dns.resolveSrv(serviceName(protocol, host)).catch(() => []);
        // The heaviest first, not by lot: credentials that one server asked for come back to it.
        services.sort((a, b) => a.priority - b.priority || b.weight - a.weight);
        const found: SipTarget[] = [];
        for (const service of services.slice(0, limits.targets.value)) {
          for (const address of await addressesOf(service.name))
            found.push(target(address, service.port, protocol));
        }
        if (found.length > 0) return found.slice(0, limits.targets.value);
      }
      const addresses = await addressesOf(host);
      if (addresses.length === 0) {
        throw new OffhookError('OFFHOOK_UNREACHABLE', `${host} has no address`, { stage: 'dns', host });
      }
      return addresses.slice(0, limits.targets.value).map((address) => target(address, port));
    },
  );
}

function serviceName(protocol: SipProtocol, host: string): string {
  return protocol === 'tls' ? `_sips._tcp.${host}` : `_sip._${protocol}.${host}`;
}

async function addressesOf(host: string): Promise<string[]> {
  const found = await lookup(host, { all: true }).catch(() => []);
  return found.map(({ address }) => address);
}
