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

const defaultPort = { stun: 3478, turn: 3478, turns: 5349 };

/** Translates ICE servers to what the addon takes; URLs that it cannot use are left out. */
export function toAddonIceServers(servers: readonly IceServer[]): AddonIceServer[] {
  const translated: AddonIceServer[] = [];
  for (const { urls, username, credential } of servers) {
    for (const url of urls) {
      const match = /^(stun|turn|turns):(\[[^\]]+\]|[^:?]+)(?::(\d+))?(?:\?transport=(udp|tcp))?$/.exec(url);
      if (!match) continue;
      const scheme = match[1] as keyof typeof defaultPort;
      const server: AddonIceServer = {
        hostname: match[2]!.replace(/^\[|\]$/g, ''),
        port: match[3] ? Number(match[3]) : defaultPort[scheme],
      };
      if (scheme !== 'stun') {
        server.username = username ?? '';
        server.password = credential ?? '';
        server.relayType = scheme === 'turns' ? 'TurnTls' : match[4] === 'tcp' ? 'TurnTcp' : 'TurnUdp';
      }
      translated.push(server);
    }
  }
  return translated;
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

const hostTypePreference = 126;

/** A host candidate line for a UDP port (RFC 8445, section 5.1). */
export function hostCandidate({ address, port }: TransportAddress, index: number): string {
  const priority = hostTypePreference * 2 ** 24 + (0xffff - index) * 2 ** 8 + 255;
  return `candidate:${index + 1} 1 UDP ${priority} ${address} ${port} typ host`;
}

/**
 * How likely a pair with this remote candidate is to be the one that works, higher first. Checks leave 50 ms apart in
 * the order in which candidates were added, so the order decides how long connecting takes.
 */
export function candidateLikelihood(candidate: string): number {
  const parsed = candidateAddress(candidate);
  if (!parsed) return 0;
  const family = isIPv4(parsed.address) ? 2 : isIPv6(parsed.address) ? 1 : 0;
  const protocol = parsed.protocol === 'udp' ? 10 : 0;
  const type = parsed.type === 'host' ? 4 : parsed.type === 'srflx' ? 3 : 0;
  return protocol + type + family;
}
