import { isIPv6 } from 'node:net';
import { formatParams, type Params } from './cursor.js';

/** A `sip:` or `sips:` URI (RFC 3261, section 19.1). User and parameters are as they were sent, escapes included. */
export interface SipUri {
  scheme: 'sip' | 'sips';
  user?: string;
  password?: string;
  /** Lower case; an IPv6 address without its brackets. */
  host: string;
  port?: number;
  params: Params;
  /** What follows `?`, which asks for headers in a request to this URI; empty without. */
  headers: string;
}

/** A URI of another scheme. */
export interface OtherUri {
  scheme: string;
  opaque: string;
}

export type Uri = SipUri | OtherUri;

const schemePattern = /^[A-Za-z][A-Za-z0-9+.-]*$/;
const userPattern = /^(?:[A-Za-z0-9\-_.!~*'()&=+$,;?/]|%[0-9A-Fa-f]{2})+$/;
const passwordPattern = /^(?:[A-Za-z0-9\-_.!~*'()&=+$,]|%[0-9A-Fa-f]{2})*$/;
const hostPattern = /^(?=.{1,253}$)[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\.?$/;
const paramPattern = /^(?:[A-Za-z0-9\-_.!~*'()[\]/:&+$]|%[0-9A-Fa-f]{2})+$/;
const headersPattern = /^(?:[A-Za-z0-9\-_.!~*'()[\]/?:+$=&]|%[0-9A-Fa-f]{2})+$/;

export function isSipUri(uri: Uri): uri is SipUri {
  return 'host' in uri;
}

/** Parses a URI; undefined when it is none, or a SIP URI with characters that may not be where they are. */
export function parseUri(text: string): Uri | undefined {
  const colon = text.indexOf(':');
  if (colon < 1) return undefined;
  const scheme = text.slice(0, colon).toLowerCase();
  if (!schemePattern.test(scheme)) return undefined;
  const rest = text.slice(colon + 1);
  if (scheme === 'sip' || scheme === 'sips') return parseSipUri(scheme, rest);
  return rest === '' || /[\s<>]/.test(rest) ? undefined : { scheme, opaque: rest };
}

function parseSipUri(scheme: 'sip' | 'sips', text: string): SipUri | undefined {
  const sign = text.indexOf('@');
  const userInfo = sign < 0 ? undefined : text.slice(0, sign);
  const [place, headers] = splitOnce(text.slice(sign + 1), '?');
  const [hostPort, ...parameters] = place.split(';');
  const address = parseHostPort(hostPort!);
  const params = parseUriParams(parameters);
  if (!address || !params || (headers !== undefined && !headersPattern.test(headers))) return undefined;
  const uri: SipUri = { scheme, ...address, params, headers: headers ?? '' };
  if (userInfo === undefined) return uri;
  const [user, password] = splitOnce(userInfo, ':');
  if (!userPattern.test(user)) return undefined;
  uri.user = user;
  if (password === undefined) return uri;
  if (!passwordPattern.test(password)) return undefined;
  uri.password = password;
  return uri;
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

/** `host`, `host:port`, `[address]:port`. */
export function parseHostPort(text: string): { host: string; port?: number } | undefined {
  const [, bracketed, plain, portText] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined) return undefined;
  if (bracketed === undefined ? !hostPattern.test(host) : !isIPv6(host)) return undefined;
  if (portText === undefined) return { host: host.toLowerCase() };
  const port = Number(portText);
  return port > 65_535 ? undefined : { host: host.toLowerCase(), port };
}

/** A host as it stands in a URI or header: IPv6 addresses in brackets. */
export function formatHostPort(host: string, port: number | undefined): string {
  const bracketed = host.includes(':') ? `[${host}]` : host;
  return port === undefined ? bracketed : `${bracketed}:${port}`;
}

function parseUriParams(parts: readonly string[]): Params | undefined {
  const params: Params = new Map();
  for (const part of parts) {
    const [name, value] = splitOnce(part, '=');
    if (!paramPattern.test(name) || (value !== undefined && !paramPattern.test(value))) return undefined;
    const key = unescapeUri(name).toLowerCase();
    if (!params.has(key)) params.set(key, value);
  }
  return params;
}

export function formatUri(uri: Uri): string {
  if (!isSipUri(uri)) return `${uri.scheme}:${uri.opaque}`;
  const { scheme, user, password, host, port, params, headers } = uri;
  const userInfo = user === undefined ? '' : `${user}${password === undefined ? '' : `:${password}`}@`;
  return `${scheme}:${userInfo}${formatHostPort(host, port)}${formatParams(params)}${headers ? `?${headers}` : ''}`;
}

/** Text without `%` escapes; what is no valid escape stays. */
export function unescapeUri(text: string): string {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Text as the user part of a URI. */
export function escapeUser(text: string): string {
  return text.replace(/[^A-Za-z0-9\-_.!~*'()&=+$,;?/]/gu, (character) => encodeURIComponent(character));
}

/** Who a URI is about: the user of a SIP URI without its parameters (`+1555;phone-context=…`), the number of a tel URI. */
export function userOf(uri: Uri): string {
  if (isSipUri(uri)) return unescapeUri((uri.user ?? '').split(';')[0]!);
  return uri.scheme === 'tel' ? uri.opaque.split(';')[0]!.replace(/[-.()]/g, '') : '';
}
