import { lookup, resolveSrv } from 'node:dns/promises';
import { isIP } from 'node:net';
import { withDeadline } from '../../deadlines/index.js';
import { OffhookError } from '../../errors/index.js';
import type { SipUri } from '../message/index.js';
import type { SipProtocol, SipTarget } from './flow.js';

const dnsTimeoutMs = 3_000;
const maxTargets = 8;
const defaultPort: Record<SipProtocol, number> = { udp: 5060, tcp: 5060, tls: 5061 };

/** The protocol that a URI names, or the usual one. */
export function protocolOf(uri: SipUri): SipProtocol {
  if (uri.scheme === 'sips') return 'tls';
  const named = uri.params.get('transport')?.toLowerCase();
  return named === 'tcp' || named === 'tls' ? named : 'udp';
}

/**
 * Where a request to `uri` goes, best first (RFC 3263): the address that it names, or what DNS says about its domain,
 * SRV records before addresses.
 *
 * @param protocol chosen by the caller, in place of the URI's
 * @throws OffhookError `OFFHOOK_UNREACHABLE`, `OFFHOOK_DEADLINE`
 */
export async function resolveTarget(uri: SipUri, protocol = protocolOf(uri)): Promise<SipTarget[]> {
  const { host, port } = uri;
  const target = (address: string, at: number): SipTarget => ({
    protocol,
    address,
    port: at,
    ...(protocol === 'tls' && isIP(host) === 0 ? { serverName: host } : {}),
  });
  if (isIP(host) !== 0) return [target(host, port ?? defaultPort[protocol])];
  return withDeadline(
    { stage: 'dns', timeoutMs: dnsTimeoutMs, host, what: `no address for ${host}` },
    async () => {
      if (port === undefined) {
        const services = await resolveSrv(serviceName(protocol, host)).catch(() => []);
        services.sort((a, b) => a.priority - b.priority || b.weight - a.weight);
        const found: SipTarget[] = [];
        for (const service of services.slice(0, maxTargets)) {
          for (const address of await addressesOf(service.name)) found.push(target(address, service.port));
        }
        if (found.length > 0) return found.slice(0, maxTargets);
      }
      const addresses = await addressesOf(host);
      if (addresses.length === 0) {
        throw new OffhookError('OFFHOOK_UNREACHABLE', `${host} has no address`, { stage: 'dns', host });
      }
      return addresses.slice(0, maxTargets).map((address) => target(address, port ?? defaultPort[protocol]));
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
