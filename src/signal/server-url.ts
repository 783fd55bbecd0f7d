import { OffhookError } from '../errors/index.js';

const webSocketSchemes: Record<string, string> = {
  'ws:': 'ws:',
  'wss:': 'wss:',
  'http:': 'ws:',
  'https:': 'wss:',
};

/** The text of a URL as it may be shown: without user name, password and query, which may hold secrets. */
function shown(text: string): string {
  return JSON.stringify(text.replace(/\/\/[^/]*@/, '//…@').replace(/\?.*/s, '?…'));
}

/**
 * Reads the address of a server as programs give it: ws(s):// or http(s)://, with or without a path.
 *
 * @returns a URL whose scheme is ws: or wss:
 * @throws OffhookError `OFFHOOK_INVALID_URL`
 */
export function parseServerUrl(text: string): URL {
  const invalid = (why: string) =>
    new OffhookError('OFFHOOK_INVALID_URL', `${shown(text)} is not the URL of a server: ${why}`, {
      stage: 'url',
      advice: text.startsWith('eyJ')
        ? 'This is an access token: give the URL of the server first, then the token.'
        : (suggestUrl(text) ?? 'Give an address such as wss://example.livekit.cloud or ws://127.0.0.1:7880.'),
    });
  if (!URL.canParse(text)) throw invalid('it cannot be parsed');
  const url = new URL(text);
  const scheme = webSocketSchemes[url.protocol];
  if (scheme === undefined) throw invalid(`its scheme is ${url.protocol}//, not ws, wss, http or https`);
  if (url.username !== '' || url.password !== '') throw invalid('it contains a user name or password');
  url.protocol = scheme;
  url.search = '';
  url.hash = '';
  return url;
}

const hostAndPort = /^(?:\[[\da-f:.]+\]|[\w.-]+)(?::\d+)?(?:\/.*)?$/i;
const thisMachine = /^(?:localhost|127\.|0\.0\.0\.0|\[::1?\])/i;

/** What somebody meant who left the scheme out: `127.0.0.1:7880`. */
function suggestUrl(text: string): string | undefined {
  if (!hostAndPort.test(text)) return undefined;
  return `Did you mean ${thisMachine.test(text) ? 'ws' : 'wss'}://${text} ?`;
}

/** Whether {@link parseServerUrl} takes it. */
export function isServerUrl(text: string): boolean {
  try {
    parseServerUrl(text);
    return true;
  } catch {
    return false;
  }
}

export function isSecure(url: URL): boolean {
  return url.protocol === 'wss:' || url.protocol === 'https:';
}

export function portOf(url: URL): number {
  if (url.port !== '') return Number(url.port);
  return isSecure(url) ? 443 : 80;
}

/** Host name or address, an IPv6 address without its brackets. */
export function hostnameOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, '');
}

/** Host and port for people: `example.livekit.cloud:443`. */
export function hostOf(url: URL): string {
  return `${url.hostname}:${portOf(url)}`;
}

/** The URL of `path` below the server's own path. */
export function endpointOf(server: URL, path: string): URL {
  const url = new URL(server);
  url.pathname = `${server.pathname.replace(/\/+$/, '')}/${path}`;
  return url;
}

/** The same, for plain HTTP requests. */
export function httpEndpointOf(server: URL, path: string): URL {
  const url = endpointOf(server, path);
  url.protocol = isSecure(server) ? 'https:' : 'http:';
  return url;
}
