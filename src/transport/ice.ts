import { isIPv4, isIPv6 } from 'node:net';
import type { IceServer as AddonIceServer } from 'node-datachannel';
import type { TransportAddress } from './stun.js';

/** A STUN or TURN server as LiveKit's JoinResponse and RTCIceServer give it. */
export interface IceServer {
  /** `stun:host:port`, `turn:host:port?transport=udp|tcp`, `turns:host:port`. */
  urls: readonly string[];
  username?: string;
  credential?: string;
}

/** A trickled candidate, as the JSON in LiveKit's TrickleRequest.candidateInit (RTCIceCandidateInit). */
export interface IceCandidate {
  /** `candidate:…`, without `a=`; empty marks the end of candidates. */
  candidate: string;
  sdpMid?: string | null;
  sdpMLineIndex?: number | null;
}

export interface StunServer {
  hostname: string;
  port: number;
}

export interface TurnServer {
  hostname: string;
  port: number;
  username: string;
  credential: string;
  transport: 'udp' | 'tcp' | 'tls';
}

const defaultPort = { stun: 3478, turn: 3478, turns: 5349 };

interface ParsedIceServer {
  scheme: keyof typeof defaultPort;
  hostname: string;
  port: number;
  tcp: boolean;
  username: string;
  credential: string;
}

/** The servers one by one; URLs that are none (RFC 7064, RFC 7065) are left out. */
function parseIceServers(servers: readonly IceServer[]): ParsedIceServer[] {
  const parsed: ParsedIceServer[] = [];
  for (const { urls, username = '', credential = '' } of servers) {
    for (const url of urls) {
      const match = /^(stun|turn|turns):(\[[^\]]+\]|[^:?]+)(?::(\d+))?(?:\?transport=(udp|tcp))?$/.exec(url);
      if (!match) continue;
      const scheme = match[1] as keyof typeof defaultPort;
      const hostname = match[2]!.replace(/^\[|\]$/g, '');
      const port = match[3] ? Number(match[3]) : defaultPort[scheme];
      parsed.push({ scheme, hostname, port, tcp: match[4] === 'tcp', username, credential });
    }
  }
  return parsed;
}

/** What the addon speaks to: STUN, and TURN over UDP. */
export function addonIceServers(servers: readonly IceServer[]): AddonIceServer[] {
  return parseIceServers(servers)
    .filter(({ scheme, tcp }) => scheme === 'stun' || (scheme === 'turn' && !tcp))
    .map(({ scheme, hostname, port, username, credential }) =>
      scheme === 'stun'
        ? { hostname, port }
        : { hostname, port, username, password: credential, relayType: 'TurnUdp' },
    );
}

/** The STUN servers among them. */
export function stunServers(servers: readonly IceServer[]): StunServer[] {
  return parseIceServers(servers)
    .filter(({ scheme }) => scheme === 'stun')
    .map(({ hostname, port }) => ({ hostname, port }));
}

/** The TURN servers among them, of which the addon speaks to those over UDP only. */
export function turnServers(servers: readonly IceServer[]): TurnServer[] {
  return parseIceServers(servers)
    .filter(({ scheme }) => scheme !== 'stun')
    .map(({ scheme, hostname, port, tcp, username, credential }) => ({
      hostname,
      port,
      username,
      credential,
      transport: scheme === 'turns' ? 'tls' : tcp ? 'tcp' : 'udp',
    }));
}

/** The connection address and port of a candidate line, or undefined when it is not one. */
export function candidateAddress(
  candidate: string,
): { address: string; port: number; protocol: string; type: string } | undefined {
  const fields = candidate.replace(/^a=/, '').split(' ');
  const [foundation, , protocol, , address, port, typ, type] = fields;
  if (!foundation?.startsWith('candidate:') || !address || typ !== 'typ' || !type) return undefined;
  if (!/^\d{1,5}$/.test(port ?? '') || Number(port) > 65_535) return undefined;
  return { address, port: Number(port), protocol: (protocol ?? '').toLowerCase(), type };
}

const hostTypePreference = { udp: 126, tcp: 90 };

/**
 * A host candidate line (RFC 8445, section 5.1). One over TCP is the end of a connection that we have opened: `passive`
 * (RFC 6544) for want of a word, since servers pass over what is called active.
 */
export function hostCandidate(
  { address, port }: TransportAddress,
  index: number,
  protocol: 'udp' | 'tcp' = 'udp',
): string {
  const priority = hostTypePreference[protocol] * 2 ** 24 + (0xffff - index) * 2 ** 8 + 255;
  const line = `candidate:${index + 1} 1 ${protocol.toUpperCase()} ${priority} ${address} ${port} typ host`;
  return protocol === 'tcp' ? `${line} tcptype passive` : line;
}

/**
 * How likely a pair with this remote candidate is to be the one that works, higher first. Checks leave 50 ms apart in
 * the order in which candidates were added, so the order decides how long connecting takes.
 */
export function candidateLikelihood(candidate: string): number {
  const parsed = candidateAddress(candidate);
  if (!parsed) return 0;
  const family = isIPv4(parsed.address) ? 2 : isIPv6(parsed.address) ? 1 : 0;
  const protocol = parsed.protocol === 'udp' ? 20 : 0;
  const type = parsed.type === 'host' ? 8 : parsed.type === 'srflx' ? 6 : 0;
  return protocol + type + family;
}
