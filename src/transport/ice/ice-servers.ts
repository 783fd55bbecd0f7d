/** A STUN or TURN server as LiveKit's JoinResponse and RTCIceServer give it. */
export interface IceServer {
  /** `stun:host:port`, `turn:host:port?transport=udp|tcp`, `turns:host:port`. */
  urls: readonly string[];
  username?: string;
  credential?: string;
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

/** The STUN servers among them. */
export function stunServers(servers: readonly IceServer[]): StunServer[] {
  return parseIceServers(servers)
    .filter(({ scheme }) => scheme === 'stun')
    .map(({ hostname, port }) => ({ hostname, port }));
}

/** The TURN servers among them. */
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
