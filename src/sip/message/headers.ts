import { Cursor, formatParams, type Params, quote, unquote } from './cursor.js';
import { formatHostPort, formatUri, isSipUri, parseHostPort, parseUri, type Uri } from './uri.js';

/** One hop of a message's way (RFC 3261, section 20.42). */
export interface Via {
  /** Upper case: UDP, TCP, TLS, WS… */
  transport: string;
  host: string;
  port?: number;
  params: Params;
}

/** A URI with an optional name and parameters: From, To, Contact, Route, Refer-To… */
export interface NameAddr {
  displayName?: string;
  uri: Uri;
  params: Params;
}

export interface CSeq {
  sequence: number;
  method: string;
}

const maxSequence = 0x7fffffff;

export function parseVia(text: string): Via | undefined {
  const cursor = new Cursor(text);
  cursor.skipWhitespace();
  if (cursor.token()?.toUpperCase() !== 'SIP' || !cursor.accept('/')) return undefined;
  if (cursor.token() !== '2.0' || !cursor.accept('/')) return undefined;
  const transport = cursor.token()?.toUpperCase();
  cursor.skipWhitespace();
  const sentBy = cursor.match(/(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?:[ \t]*:[ \t]*\d+)?/y);
  const address = sentBy === undefined ? undefined : parseHostPort(sentBy.replace(/[ \t]/g, ''));
  const params = cursor.params();
  if (transport === undefined || !address || !params || !cursor.atEnd) return undefined;
  return { transport, ...address, params };
}

export function formatVia({ transport, host, port, params }: Via): string {
  return `SIP/2.0/${transport} ${formatHostPort(host, port)}${formatParams(params)}`;
}

/** Parses `"Name" <uri>;params` or `uri;params`, in which every parameter belongs to the header. */
export function parseNameAddr(text: string): NameAddr | undefined {
  const cursor = new Cursor(text);
  cursor.skipWhitespace();
  const displayName = parseDisplayName(cursor);
  if (cursor.accept('<')) {
    const inside = cursor.until('>');
    const uri = inside === undefined ? undefined : parseUri(inside);
    const params = cursor.params();
    if (!uri || !params || !cursor.atEnd) return undefined;
    return displayName === undefined ? { uri, params } : { displayName, uri, params };
  }
  if (displayName !== undefined) return undefined;
  const bare = cursor.match(/[^;?,<>\s"]+/y);
  const uri = bare === undefined ? undefined : parseUri(bare);
  const params = cursor.params();
  return uri && params && cursor.atEnd ? { uri, params } : undefined;
}

/** A quoted string, or words, if `<` follows; otherwise nothing is passed. */
function parseDisplayName(cursor: Cursor): string | undefined {
  const from = cursor.at;
  const quoted = cursor.quoted();
  if (quoted !== undefined) return unquote(quoted);
  const words: string[] = [];
  for (let word = cursor.token(); word !== undefined; word = cursor.token()) {
    words.push(word);
    cursor.skipWhitespace();
  }
  if (words.length > 0 && cursor.text[cursor.at] === '<') return words.join(' ');
  cursor.at = from;
  return undefined;
}

export function formatNameAddr({ displayName, uri, params }: NameAddr): string {
  const name = displayName ? `${quote(displayName)} ` : '';
  return `${name}<${formatUri(uri)}>${formatParams(params)}`;
}

export function tagOf({ params }: NameAddr): string | undefined {
  return params.get('tag');
}

export function parseCSeq(text: string): CSeq | undefined {
  const [, digits, method] = /^\s*(\d{1,10})\s+([A-Za-z0-9\-.!%*_+`'~]+)\s*$/.exec(text) ?? [];
  const sequence = Number(digits);
  return method === undefined || sequence > maxSequence ? undefined : { sequence, method };
}

/** A whole number from 0 to `max` without sign; undefined for anything else. */
export function parseNumber(text: string, max: number): number | undefined {
  const trimmed = text.trim();
  if (!/^\d{1,15}$/.test(trimmed)) return undefined;
  const value = Number(trimmed);
  return value <= max ? value : undefined;
}

/** `type/subtype`, lower case, without parameters. */
export function mediaTypeOf(contentType: string): string {
  return contentType.split(';')[0]!.replace(/\s/g, '').toLowerCase();
}

/** Whether two URIs name the same resource as far as a registrar needs to know: scheme, user, host and port. */
export function isSameResource(a: Uri, b: Uri): boolean {
  if (!isSipUri(a) || !isSipUri(b)) return formatUri(a) === formatUri(b);
  return a.scheme === b.scheme && a.user === b.user && a.host === b.host && a.port === b.port;
}
