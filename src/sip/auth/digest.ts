import { createHash, timingSafeEqual } from 'node:crypto';
import { quote, splitList, unquote } from '../message/index.js';

export type DigestAlgorithm = 'MD5' | 'SHA-256';

/** What a server asks for (RFC 7616, section 3.3). */
export interface DigestChallenge {
  realm: string;
  nonce: string;
  algorithm: DigestAlgorithm;
  opaque?: string;
  /** Whether `qop=auth` is offered; without it the scheme of RFC 2069 is used. */
  qopAuth: boolean;
  stale: boolean;
}

/** What a client answers (RFC 7616, section 3.4). */
export interface DigestCredentials {
  username: string;
  realm: string;
  nonce: string;
  uri: string;
  response: string;
  algorithm: DigestAlgorithm;
  cnonce?: string;
  /** Eight hexadecimal digits. */
  nonceCount?: string;
  qop?: string;
  opaque?: string;
}

export interface DigestSecret {
  username: string;
  password: string;
}

const digests: Record<DigestAlgorithm, string> = { MD5: 'md5', 'SHA-256': 'sha256' };

/** `Digest name=value, name="value"`: the parameters by lower-case name; undefined for another scheme or broken text. */
function parseScheme(text: string): Map<string, string> | undefined {
  const [, rest] = /^\s*digest\s+([\s\S]+)$/i.exec(text) ?? [];
  if (rest === undefined || rest.length > 4_096) return undefined;
  const params = new Map<string, string>();
  for (const part of splitList(rest)) {
    const [, name, value] = /^([A-Za-z0-9-]+)\s*=\s*("(?:[^"\\]|\\[\s\S])*"|[^\s",]+)$/.exec(part) ?? [];
    if (name === undefined || params.has(name.toLowerCase())) return undefined;
    params.set(name.toLowerCase(), unquote(value!));
  }
  return params;
}

function algorithmOf(name: string | undefined): DigestAlgorithm | undefined {
  const upper = (name ?? 'MD5').toUpperCase();
  return upper === 'MD5' || upper === 'SHA-256' ? upper : undefined;
}

/** Undefined for what is no digest challenge, or one of an algorithm that we do not have. */
export function parseChallenge(text: string): DigestChallenge | undefined {
  const params = parseScheme(text);
  const algorithm = algorithmOf(params?.get('algorithm'));
  const realm = params?.get('realm');
  const nonce = params?.get('nonce');
  if (!params || algorithm === undefined || realm === undefined || nonce === undefined) return undefined;
  const qop = params.get('qop');
  const offers = qop?.split(',').map((name) => name.trim().toLowerCase()) ?? [];
  // A server that wants integrity of the body alone is one whose challenge cannot be met.
  if (qop !== undefined && !offers.includes('auth')) return undefined;
  const opaque = params.get('opaque');
  return {
    realm,
    nonce,
    algorithm,
    qopAuth: qop !== undefined,
    stale: params.get('stale')?.toLowerCase() === 'true',
    ...(opaque === undefined ? {} : { opaque }),
  };
}

export function formatChallenge({
  realm,
  nonce,
  algorithm,
  opaque,
  qopAuth,
  stale,
}: DigestChallenge): string {
  const parts = [`realm=${quote(realm)}`, `nonce=${quote(nonce)}`, `algorithm=${algorithm}`];
  if (qopAuth) parts.push('qop="auth"');
  if (opaque !== undefined) parts.push(`opaque=${quote(opaque)}`);
  if (stale) parts.push('stale=true');
  return `Digest ${parts.join(', ')}`;
}

export function parseCredentials(text: string): DigestCredentials | undefined {
  const params = parseScheme(text);
  const algorithm = algorithmOf(params?.get('algorithm'));
  if (!params || algorithm === undefined) return undefined;
  const required = ['username', 'realm', 'nonce', 'uri', 'response'].map((name) => params.get(name));
  if (required.includes(undefined)) return undefined;
  const [username, realm, nonce, uri, response] = required as string[];
  const optional = { cnonce: params.get('cnonce'), nonceCount: params.get('nc'), qop: params.get('qop') };
  const given = Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined));
  return {
    username: username!,
    realm: realm!,
    nonce: nonce!,
    uri: uri!,
    response: response!,
    algorithm,
    ...given,
  };
}

export function formatCredentials(credentials: DigestCredentials): string {
  const { username, realm, nonce, uri, response, algorithm, cnonce, nonceCount, qop, opaque } = credentials;
  const parts = [
    `username=${quote(username)}`,
    `realm=${quote(realm)}`,
    `nonce=${quote(nonce)}`,
    `uri=${quote(uri)}`,
    `response="${response}"`,
    `algorithm=${algorithm}`,
  ];
  if (qop !== undefined) parts.push(`qop=${qop}`, `nc=${nonceCount}`, `cnonce=${quote(cnonce ?? '')}`);
  if (opaque !== undefined) parts.push(`opaque=${quote(opaque)}`);
  return `Digest ${parts.join(', ')}`;
}

type ResponseInput = Pick<
  DigestCredentials,
  'username' | 'realm' | 'nonce' | 'uri' | 'algorithm' | 'cnonce' | 'nonceCount' | 'qop'
>;

/** The response to a challenge, as hexadecimal digits (RFC 7616, section 3.4.1). */
export function digestResponse(input: ResponseInput, method: string, password: string): string {
  const hash = (text: string) => createHash(digests[input.algorithm]).update(text).digest('hex');
  const { username, realm, nonce, uri, cnonce, nonceCount, qop } = input;
  const secret = hash(`${username}:${realm}:${password}`);
  const request = hash(`${method}:${uri}`);
  const middle = qop === undefined ? nonce : `${nonce}:${nonceCount}:${cnonce}:${qop}`;
  return hash(`${secret}:${middle}:${request}`);
}

/** Credentials that meet `challenge` for one request. */
export function answerChallenge(
  challenge: DigestChallenge,
  secret: DigestSecret,
  request: { method: string; uri: string; cnonce: string; count: number },
): DigestCredentials {
  const { realm, nonce, algorithm, opaque, qopAuth } = challenge;
  const base = {
    username: secret.username,
    realm,
    nonce,
    uri: request.uri,
    algorithm,
    ...(opaque === undefined ? {} : { opaque }),
    ...(qopAuth
      ? { qop: 'auth', cnonce: request.cnonce, nonceCount: request.count.toString(16).padStart(8, '0') }
      : {}),
  };
  return { ...base, response: digestResponse(base, request.method, secret.password) };
}

/** Whether the credentials were made with this password, compared in constant time. */
export function isResponseRight(credentials: DigestCredentials, method: string, password: string): boolean {
  const expected = Buffer.from(digestResponse(credentials, method, password));
  const given = Buffer.from(credentials.response.toLowerCase());
  return expected.length === given.length && timingSafeEqual(expected, given);
}
